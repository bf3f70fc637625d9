"""The tools that come with the engine: they work on local data, with no network and no account."""

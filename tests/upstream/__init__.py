"""What this program leans on in its libraries beyond what they promise: a file for each of them.

Each says which names those are and what they are for, and fails with that sentence when an update has changed them.
`pyproject.toml` declares for each of these libraries up to which version they are known to be there.
"""

"""The rows of the table of targets, a module for each kind."""

"""The state of all runs: the states and their moves, the statements that change them, and the reads."""

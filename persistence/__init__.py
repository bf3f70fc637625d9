"""What is true: the states and their moves, the statements that change them, and the reads."""

"""One process of Life OS: its settings, the objects it is made of, and the commands that run it."""

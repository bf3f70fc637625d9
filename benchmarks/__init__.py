"""Measures Life OS beside what the same database does bare, and prints ratios. `python -m benchmarks --help`."""

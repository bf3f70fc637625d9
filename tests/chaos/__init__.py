"""A long trial: real processes under load, faults by a seed, and a checker of everything that was seen.

`python -m tests.chaos --seed 7 --minutes 30`; see `__main__`.
"""

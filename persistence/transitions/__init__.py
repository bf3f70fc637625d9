"""The statements that move sets of steps, and write their events in the same breath.

Every transaction that moves anything in a run first locks the run's row (many runs: by id). All that belongs to
a run, its steps, approvals, tool calls and events, is touched only under that lock, so

- two transactions can only wait for each other's runs, in one order: there is no deadlock;
- the statement after the lock reads a snapshot in which nothing of the run can change any more: it may look and then
  act, in one statement, over any number of runs;
- events are numbered by a counter on that row: without gaps, and in the order in which they commit.
"""

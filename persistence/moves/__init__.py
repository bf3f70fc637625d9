"""The moves: the statements that change the states of sets of steps, and record their events in the same commit.

`table` says as data which moves there are; `pieces` builds the parts of SQL that statements share, each once; `row` has
the columns that come back. A statement stands in the module of its verb (`settle`, `claim`, `decide` …); `functions`
holds those that the database runs by itself.

Every transaction that moves anything in a run first locks the run's row (many runs: by id). All that belongs to
a run, its steps, approvals, tool calls and events, is touched only under that lock, so

- two transactions can only wait for each other's runs, in one order: there is no deadlock;
- the statement after the lock reads a snapshot in which nothing of the run can change any more: it may look and then
  act, in one statement, over any number of runs;
- events are numbered by a counter on that row: without gaps, and in the order in which they commit.
"""

"""The moves that are made one at a time, as functions of the database: a step succeeds by itself, an approval is given.

The statements beside this package do the same to any number of steps. For a lone one most of their cost is that of
setting up plans of a hundred nodes; a function's statements are planned once a session, and only those run that are
needed.

Their texts are made of the same pieces. `python -m persistence.moves.functions` prints them for a migration, which
keeps them as they were: a process calls the functions that its version knows, beside processes of the version before.
So when a text has changed, a test says so, the function (or type) gets another name here, and a new migration has it.
"""

from persistence.moves.functions.approve import APPROVE_ONE
from persistence.moves.functions.function import EVENT_TYPE, ROW_TYPE, Function
from persistence.moves.functions.succeed import SUCCEED_ONE

TYPES = (ROW_TYPE, EVENT_TYPE)
FUNCTIONS = (SUCCEED_ONE, APPROVE_ONE)

__all__ = ["APPROVE_ONE", "FUNCTIONS", "SUCCEED_ONE", "TYPES", "Function"]

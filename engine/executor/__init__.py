"""The executor: it claims due steps, calls their tools, and settles what became of them. Each process has one.

    slots         what this process owns, and how much more it may take
    fairness      when a claim waits for more free slots, and who is served beyond the limit
    claiming      the loop that takes due steps while slots are free
    calling       a claimed step on its way to the end of its call
    attempt       the life of one attempt: prepared, called, stopped, timed out
    caller        the seam `Caller`: whatever can make a call; local: the one that makes it in this process
    outcomes      what becomes of the step after the call's reply: settled, retried, in doubt, a dead letter
    settling      outcomes are written in groups, with what they make ready claimed in the same transaction
    reconciling   what runs here is compared with what the database says that this process owns

An attempt goes through these states here. Any of them can be lost with the process: the database decides what it owns.

    claimed ── prepare ──▶ prepared ── enter ──▶ entered ── call ──▶ called ── reply ──▶ ended ── settle ──▶ settled
       │                      │                     │                  ├── timeout ───────▲
       │                      │                     │                  └── stop ──────────┤
       └── not made           └── stop              └── refused, stop                     │
           │                      │                     │                                 │
           └──────────────────────┴─────────────────────┴─────────────────────────────────┘

    enter: noted in the database, so that it is made once; a call that may be repeated goes from prepared to called
    refused: the step was no longer this process's when its call was about to be noted
    A call that goes on after its attempt has ended is left behind. Its late reply is kept with its tool call, and moves
    no step.

While one group of outcomes commits, the next one gathers. The transaction that settles also claims what it made ready,
so a chain of steps costs one commit a step.
"""

from engine.executor.caller import Call, Caller
from engine.executor.executor import Executor
from engine.executor.local import LocalCaller

__all__ = ["Call", "Caller", "Executor", "LocalCaller"]

"""Where the arguments of a plan's steps come from, known when the plan is checked: nothing is computed when it runs.

A value's label is how much of it others decide, and the steps behind it that read what others can write. Nothing makes
a label lower but a person's edit: no tool does, and no model.
"""

from engine.provenance.derived import plain_origins, referred_keys
from engine.provenance.edits import edited_origins
from engine.provenance.origins import Origin, Sources, decode, encode, sentence
from engine.provenance.tracing import origins_in, traced

__all__ = [
    "Origin",
    "Sources",
    "decode",
    "edited_origins",
    "encode",
    "origins_in",
    "plain_origins",
    "referred_keys",
    "sentence",
    "traced",
]

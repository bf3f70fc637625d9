"""The types that clients see, built from the rows that the reads give."""

# Before any type names an enum, Strawberry has to know what it is called and how it is described.
from schema.api.types import enums

__all__ = ["enums"]

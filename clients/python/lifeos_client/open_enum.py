"""Enumerations that a newer server may have added to."""

from enum import StrEnum
from typing import Self


class OpenEnum(StrEnum):
    """An enumeration that takes any text: what it has no member for becomes one of its own, outside of iteration."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        unknown = str.__new__(cls, value)
        unknown._name_ = unknown._value_ = value
        return unknown

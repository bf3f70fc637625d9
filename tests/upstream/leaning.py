"""How a test says that a library has changed what we lean on."""

import inspect
from typing import Any


def there(owner: Any, name: str, reason: str) -> None:
    """Fail with a sentence unless the owner, a class or a module or an instance, has this name."""
    if not hasattr(owner, name):
        told = f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else str(owner)
        raise AssertionError(f"{told} has no {name} any more: {reason}")


def overridden(ours: type, base: type) -> list[str]:
    """The methods of `base`, inherited ones too, that `ours` has made its own, and what it calls by that name there."""
    mixed_in = {name for each in ours.__mro__ if each not in base.__mro__ for name in vars(each)}
    return sorted(
        name
        for name in mixed_in
        if callable(inspect.getattr_static(base, name, None)) and not (name.startswith("__") and name != "__call__")
    )


def taken_alike(ours: type, base: type, name: str, reason: str) -> None:
    """Fail with a sentence unless our method takes what the library's does, which calls it."""
    there(base, name, reason)
    theirs = inspect.signature(getattr(base, name)).parameters
    mine = inspect.signature(getattr(ours, name)).parameters
    if any(each.kind is each.VAR_KEYWORD for each in mine.values()) and any(
        each.kind is each.VAR_POSITIONAL for each in mine.values()
    ):
        return
    known = list(mine)[: len(theirs)]
    if list(theirs) != known:
        raise AssertionError(
            f"{base.__module__}.{base.__qualname__}.{name} takes {list(theirs)} now, and ours takes {known}: {reason}"
        )

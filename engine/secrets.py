"""Secrets: put in for their references at the call alone, and taken out of whatever comes back. Pure."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote, quote_plus

from engine.references import SECRET

_SHORTEST: Final = 4
"""A shorter value would be found in every text; it is not worth the name of a secret."""


class SecretMissing(Exception):
    """The calling process has no secret of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the secret {name} is not set where the call would be made: set LIFEOS_SECRET_{name} there, "
            "and retry the step"
        )
        self.name = name


def revealed(args: object, secrets: Mapping[str, str], used: set[str]) -> Any:
    """The arguments with every reference replaced by its secret's value; the names go into `used`."""
    if isinstance(args, dict):
        entries = cast("dict[str, object]", args)
        if len(entries) == 1 and SECRET in entries:
            name = cast("str", entries[SECRET])
            if name not in secrets:
                raise SecretMissing(name)
            used.add(name)
            return secrets[name]
        return {key: revealed(inner, secrets, used) for key, inner in entries.items()}
    if isinstance(args, list):
        return [revealed(inner, secrets, used) for inner in cast("list[object]", args)]
    return args


class Redaction:
    """Replaces every secret's value, plain or encoded, by its reference."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        found: dict[str, str] = {}
        for name, value in secrets.items():
            for form in _forms(value):
                if len(form) >= _SHORTEST:
                    found.setdefault(form, name)
        # The longest first: a form that holds another one goes whole.
        self._forms = sorted(found.items(), key=lambda item: -len(item[0]))

    def of_text(self, text: str) -> str:
        """The text without secrets."""
        for form, name in self._forms:
            if form in text:
                text = text.replace(form, f"[secret {name}]")
        return text

    def of_value(self, value: Any) -> Any:
        """The JSON value without secrets: a text that is one becomes its reference."""
        if not self._forms:
            return value
        return self._of_value(value)

    def _of_value(self, value: Any) -> Any:
        if isinstance(value, str):
            for form, name in self._forms:
                if value == form:
                    return {SECRET: name}
            return self.of_text(value)
        if isinstance(value, dict):
            return {self.of_text(key): self._of_value(inner) for key, inner in cast("dict[str, Any]", value).items()}
        if isinstance(value, list):
            return [self._of_value(inner) for inner in cast("list[Any]", value)]
        if isinstance(value, int | float) and not isinstance(value, bool):
            # A secret of digits, read as a number.
            text = repr(value).removesuffix(".0")
            return next(({SECRET: name} for form, name in self._forms if form == text), value)
        return value


_PERCENT: Final = re.compile("%[0-9A-F]{2}")
_DIGITS: Final = re.compile("[0-9]{1,17}")


def _forms(value: str) -> set[str]:
    raw = value.encode("utf-8", "surrogatepass")
    forms = {value, quote(value, safe=""), quote(value), quote_plus(value), raw.hex(), raw.hex().upper()}
    forms |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
    forms |= {html.escape(value), html.escape(value, quote=False), html.escape(value).replace("&#x27;", "&#39;")}
    forms |= {_PERCENT.sub(lambda found: found[0].lower(), form) for form in tuple(forms)}
    forms |= {quote(form, safe="") for form in (quote(value, safe=""), quote_plus(value))}
    forms |= {encode(raw).decode() for encode in (base64.b85encode, base64.a85encode)}
    forms |= {encode(raw).decode().rstrip("=") for encode in (base64.b32encode, base64.b32hexencode)}
    if _DIGITS.fullmatch(value):
        forms.add(str(int(value)))
    # Base64 of a longer text that holds the secret differs by where it begins: three ways, their blurred ends cut off.
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * shift + raw).decode()
            start = (0, 2, 3)[shift]
            forms.add(whole.rstrip("=")[start : len(whole.rstrip("=")) - ((shift + len(raw)) % 3 != 0)])
    return forms

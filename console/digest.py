"""The digest that binds a decision to what was shown."""

from hashlib import sha256
from typing import Any

import rfc8785

from console.errors import ConsoleError
from console.models import Approval


class DigestDiffers(ConsoleError):
    """The shown arguments do not match their digest, so nobody should approve them."""


def checked_digest(approval: Approval) -> str:
    """The approval's digest, computed from the arguments shown; DigestDiffers if the server gives another."""
    digest = digest_of(approval.step.tool, approval.proposed_args)
    if digest != approval.args_digest:
        raise DigestDiffers(f"{approval.id}: the digest is not that of the arguments shown; nothing was decided")
    return digest


def digest_of(tool: str, args: Any) -> str:
    """SHA-256, in hex, of the canonical JSON (RFC 8785) of the call."""
    return sha256(rfc8785.dumps({"args": args, "tool": tool})).hexdigest()

"""What a mutation was refused for goes into the audit log before the caller hears of it.

What was done is written by the engine, in the transaction that did it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, cast

from strawberry.extensions.field_extension import FieldExtension

from persistence.audit import Action
from persistence.database import Unavailable
from schema.api.info import Info
from schema.api.types.errors import UserError
from schema.shared.faults import INTERNAL, RequestError
from schema.shared.visible import visible

__all__ = ["Audited", "refused"]

_SUBJECTS: Final = ("approval_id", "run_id", "step_id", "user_id")
_LONGEST: Final = 200


class Audited(FieldExtension):
    """Every mutation has one; a test looks for it on each."""

    def __init__(self, action: Action) -> None:
        self.action = action

    async def resolve_async(self, next_: Callable[..., Awaitable[Any]], source: Any, info: Any, **kwargs: Any) -> Any:
        """What the mutation answers, once a refusal is written down."""
        try:
            payload = await next_(source, info, **kwargs)
        except Unavailable:
            raise
        except Exception as error:
            code = error.code if isinstance(error, RequestError) else INTERNAL
            await refused(info, self.action, code, subject=_subject(kwargs))
            raise
        errors: Sequence[UserError] = payload.errors
        if errors:
            paths = dict.fromkeys(".".join(each.path) for each in errors if each.path)
            await refused(
                info,
                self.action,
                errors[0].code.name,
                subject=_subject(kwargs),
                detail=", ".join(paths) or None,
            )
        return payload


async def refused(
    info: Info, action: Action, code: str, *, subject: str | None = None, detail: str | None = None
) -> None:
    """Write down that this operation's viewer was refused."""
    context = info.context
    await context.engine.audit.refused(
        context.viewer,
        action,
        code,
        subject=subject and visible(subject[:_LONGEST]),
        detail=detail and visible(detail[:_LONGEST]),
    )


def _subject(arguments: Mapping[str, Any]) -> str | None:
    """The id in the input, as it was sent."""
    given = arguments.get("input")
    for name in _SUBJECTS:
        value = getattr(given, name, None)
        if isinstance(value, str):
            return value
    return cast("str | None", getattr(given, "name", None))

from datetime import UTC, datetime

import pytest

from engine import errors
from engine.errors import EngineError
from persistence.ids import new_id
from schema.api.types.enums import ErrorCode
from schema.api.types.errors import user_errors

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

EXAMPLES: dict[type[EngineError], tuple[EngineError, list[tuple[ErrorCode, list[str] | None]]]] = {
    errors.InvalidInput: (
        errors.InvalidInput((errors.Fault(("reason",), "it is bad"), errors.Fault((), "more"))),
        [(ErrorCode.INVALID_INPUT, ["reason"]), (ErrorCode.INVALID_INPUT, None)],
    ),
    errors.InvalidPlan: (
        errors.InvalidPlan(
            (
                errors.PlanFault("a", ("plan", "steps", 3, "dependsOn", 0)),
                errors.PlanFault("b", ("plan", "steps", 3, "tool"), unknown_tool=True),
            )
        ),
        [
            (ErrorCode.INVALID_PLAN, ["plan", "steps", "3", "dependsOn", "0"]),
            (ErrorCode.UNKNOWN_TOOL, ["plan", "steps", "3", "tool"]),
        ],
    ),
    errors.UnplannableIntent: (
        errors.UnplannableIntent("no tool can “sing”", ("sing",)),
        [(ErrorCode.UNPLANNABLE_INTENT, ["intent"])],
    ),
    errors.TooMuch: (errors.TooMuch("MAX_X", 2, 3, ("plan",)), [(ErrorCode.LIMIT_EXCEEDED, ["plan"])]),
    errors.NotFound: (errors.NotFound(), [(ErrorCode.NOT_FOUND, ["runId"])]),
    errors.Forbidden: (errors.Forbidden("the role ADMIN"), [(ErrorCode.FORBIDDEN, ["runId"])]),
    errors.IdempotencyConflict: (
        errors.IdempotencyConflict("k", new_id()),
        [(ErrorCode.IDEMPOTENCY_CONFLICT, ["idempotencyKey"])],
    ),
    errors.AlreadyDecided: (
        errors.AlreadyDecided("APPROVED", "Bo", MOMENT),
        [(ErrorCode.ALREADY_DECIDED, ["runId"])],
    ),
    errors.ArgsChanged: (errors.ArgsChanged("a", "b"), [(ErrorCode.ARGS_CHANGED, ["argsDigest"])]),
    errors.InvalidState: (errors.InvalidState("the run is over"), [(ErrorCode.INVALID_STATE, ["runId"])]),
}


@pytest.mark.parametrize("kind", EngineError.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_engine_error_has_a_code_a_sentence_and_a_path(kind: type[EngineError]):
    error, expected = EXAMPLES[kind]

    told = user_errors(error, about=("runId",))

    assert [(each.code, each.path) for each in told] == expected
    assert all(each.message[0].isupper() and each.message[-1] in ".!?" for each in told)


def test_the_error_says_who_decided_and_when():
    (told,) = user_errors(errors.AlreadyDecided("REJECTED", "Bo", MOMENT))
    (expired,) = user_errors(errors.AlreadyDecided("EXPIRED", None, None))

    assert told.message == "The approval is REJECTED already, by Bo at 2026-01-02T03:04:05.000Z; that stands."
    assert expired.message == "The approval is EXPIRED already; that stands."


def test_an_engine_error_that_nobody_foresaw_is_a_fault_of_ours():
    class Surprise(EngineError):
        """A new kind."""

    try:
        with pytest.raises(Surprise):
            user_errors(Surprise())
    finally:
        del Surprise

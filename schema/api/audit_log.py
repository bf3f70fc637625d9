"""Reading the audit log, which is for administrators; a refusal to read it stands there too."""

from typing import Final

from persistence.audit import Action
from persistence.audit import AuditFilter as LinesWanted
from persistence.reads.cursors import read_number, write_number
from schema.api.audited import refused
from schema.api.info import Info
from schema.api.types.audit import AuditConnection, AuditFilter, AuditLine
from schema.api.types.pages import page_size, place_after
from schema.shared.faults import FORBIDDEN, RequestError

__all__ = ["audit_page"]

_CURSORS: Final = b"L"


async def audit_page(
    info: Info, asked: AuditFilter | None, *, first: int | None, default: int, after: str | None
) -> AuditConnection:
    """A page of the log; a `RequestError` for who is no administrator, of which there will be a line too."""
    context = info.context
    if not context.viewer.is_admin:
        await refused(info, Action.READ_AUDIT_LOG, FORBIDDEN)
        raise RequestError("You may not do this: it takes the role ADMIN.", FORBIDDEN)
    size = page_size(first, default=default, most=context.limits.page)
    before = place_after(after, lambda cursor: read_number(_CURSORS, cursor))
    wanted = LinesWanted() if asked is None else asked.wanted()
    rows = [] if wanted is None else await context.engine.audit.page(wanted, before=before, at_most=size + 1)
    nodes = [AuditLine(row) for row in rows[:size]]
    cursors = [write_number(_CURSORS, row.id) for row in rows[:size]]
    return AuditConnection(nodes, cursors, has_more=len(rows) > size, after=before)

"""Templates by their id. A version of a template never changes: a process reads it once."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.call_template import CallTemplate
from outdial.operations.parse_template import template_of
from outdial.storage import templates

_MOST = 1000
_known: dict[UUID, CallTemplate] = {}


async def known_template(session: AsyncSession, template_id: UUID) -> CallTemplate | None:
    """One version of a template; None if there is no such one."""
    known = _known.get(template_id)
    if known is None:
        row = await templates.get(session, template_id)
        if row is None:
            return None
        if len(_known) >= _MOST:
            _known.clear()
        known = _known[template_id] = template_of(row.body)
    return known


def template_without_asking(template_id: UUID) -> CallTemplate | None:
    """The same if this process has read it already, else None."""
    return _known.get(template_id)

"""What answering a call must know of a template. A version never changes: it is read once."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.call_template import Pods
from outdial.domain.voice_services import pods_of
from outdial.operations.known_templates import known_template

_MOST = 1000
_known: dict[UUID, Pods] = {}
_languages: dict[UUID, str] = {}


async def wanted_pods(session: AsyncSession, template_id: UUID) -> Pods:
    """What the template says; any pod if there is no such template."""
    known = _known.get(template_id)
    if known is None:
        template = await known_template(session, template_id)
        if template is None:
            return Pods()
        if len(_known) >= _MOST:
            _known.clear()
            _languages.clear()
        _languages[template_id] = template.language
        known = _known[template_id] = pods_of(template)
    return known


def known_language(template_id: UUID) -> str:
    """In which language the carrier speaks, once the pods are known; empty if they are not."""
    return _languages.get(template_id, "")


def known_pods(template_id: UUID) -> Pods | None:
    """The same if this process has read it already."""
    return _known.get(template_id)


def wanted_without_asking(template_id: UUID) -> Pods:
    """The same while Postgres is away: what is known of it, else any pod."""
    return _known.get(template_id, Pods())

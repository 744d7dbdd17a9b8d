"""What answering a call must know of a template, also while Postgres is away."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.call_template import Pods
from outdial.domain.voice_services import pods_of
from outdial.operations.known_templates import known_template, template_without_asking


async def wanted_pods(session: AsyncSession, template_id: UUID) -> Pods:
    """What the template says; any pod if there is no such template."""
    template = await known_template(session, template_id)
    return pods_of(template) if template else Pods()


def known_pods(template_id: UUID) -> Pods | None:
    """The same if this process has read it already."""
    template = template_without_asking(template_id)
    return pods_of(template) if template else None


def wanted_without_asking(template_id: UUID) -> Pods:
    """The same while Postgres is away: what is known of it, else any pod."""
    return known_pods(template_id) or Pods()


def known_language(template_id: UUID) -> str:
    """In which language the carrier speaks, once the pods are known; empty if they are not."""
    template = template_without_asking(template_id)
    return template.language if template else ""

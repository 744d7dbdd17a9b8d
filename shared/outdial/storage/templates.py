"""Queries on templates; a version, once written, stays as it is."""

import uuid
from collections.abc import Iterable

from sqlalchemy import all_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.voice_services import KINDS
from outdial.storage.locks import lock_template
from outdial.storage.tables import Json, Template


async def get(session: AsyncSession, template_id: uuid.UUID) -> Template | None:
    """One version of a template."""
    return await session.get(Template, template_id)


async def latest(session: AsyncSession, slug: str) -> Template | None:
    """The newest version of a template."""
    found: Template | None = await session.scalar(
        select(Template).where(Template.slug == slug).order_by(Template.version.desc()).limit(1)
    )
    return found


async def versions(session: AsyncSession, slug: str) -> list[Template]:
    """Every version of a template, the newest first."""
    return list(
        await session.scalars(
            select(Template).where(Template.slug == slug).order_by(Template.version.desc())
        )
    )


async def latest_of_each(session: AsyncSession) -> list[Template]:
    """The newest version of every template, by slug."""
    return list(
        await session.scalars(
            select(Template)
            .distinct(Template.slug)
            .order_by(Template.slug, Template.version.desc())
        )
    )


async def add(session: AsyncSession, slug: str, body: Json) -> Template:
    """Write the next version; the same body as the newest one's is that version again."""
    await lock_template(session, slug)
    newest = await latest(session, slug)
    if newest is not None and newest.body == body:
        return newest
    template = Template(slug=slug, version=newest.version + 1 if newest else 1, body=body)
    session.add(template)
    await session.flush()
    return template


async def version(session: AsyncSession, slug: str, number: int) -> Template | None:
    """One version of a template, by its number."""
    found: Template | None = await session.scalar(
        select(Template).where(Template.slug == slug, Template.version == number)
    )
    return found


async def with_services(
    session: AsyncSession, without: Iterable[uuid.UUID], limit: int
) -> list[Template]:
    """The newest versions whose `voice` names a service of its own, or a noise filter.

    `without` are ids that the caller knows already.
    """
    rows = await session.scalars(_WITH_SERVICES, {"without": list(without), "limit": limit})
    return list(rows)


_VOICE = Template.body["voice"]
# Made once: each pod asks every other second, between the sounds of its calls.
_WITH_SERVICES = (
    select(Template)
    .where(
        or_(
            *(func.jsonb_typeof(_VOICE[key]) == "object" for key in KINDS),
            func.coalesce(_VOICE["noise_filter"].astext, "") != "",
        ),
        Template.id != all_(bindparam("without", type_=ARRAY(UUID(as_uuid=True)))),
    )
    .order_by(Template.created_at.desc())
    .limit(bindparam("limit"))
)


async def many(
    session: AsyncSession, template_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, Template]:
    """These versions, by their id."""
    rows = await session.scalars(select(Template).where(Template.id.in_(list(template_ids))))
    return {template.id: template for template in rows}

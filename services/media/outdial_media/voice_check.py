"""Which templates this pod can be the voice of: looked at before anybody is called with them.

What a template's `voice` needs is a label of the pod (`voice_services.py`): `ready`, or why not.
Calls go to pods that are ready only, so a missing extra, key or setting rings nobody.
"""

import asyncio
from uuid import UUID

import structlog

from outdial.domain.call_template import CallTemplate
from outdial.domain.voice_services import READY, voice_label
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.parse_template import template_of
from outdial.operations.runtime import Runtime
from outdial.operations.store_outages import POSTGRES, store_failed
from outdial.storage import templates
from outdial_media import metrics
from outdial_media.foreign_services import ForeignServices

_log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0
"""How often new versions of templates are looked for; until then their leads wait."""

_MOST = 200
_LONGEST = 300


class VoiceCheck:
    """The labels of this pod, by what templates name."""

    def __init__(self, runtime: Runtime, services: ForeignServices) -> None:
        self._runtime = runtime
        self._services = services
        self._seen: set[UUID] = set()
        self.labels: dict[str, str] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Look at the versions that are new; what a store that is away hides is seen later."""
        try:
            async with self._runtime.sessions() as session:
                rows = await templates.with_services(session, self._seen, _MOST)
        except STORE_ERRORS as error:
            store_failed(self._runtime, error)
            return
        self._runtime.outages.back(POSTGRES)
        for row in rows:
            template = template_of(row.body)
            problem = await self._problem(template)
            if problem:
                _log.error(
                    "voice_not_available", template=row.slug, version=row.version, problem=problem
                )
            self._seen.add(row.id)
            self.labels[voice_label(template.voice)] = (problem or READY)[:_LONGEST]
        metrics.voices_missing.set(sum(value != READY for value in self.labels.values()))

    async def _problem(self, template: CallTemplate) -> str:
        """Loading a service's module takes long: it is done beside the loop."""
        problem = await asyncio.to_thread(self._services.problem_of, template)
        return problem or await self._services.problem_of_making(template)

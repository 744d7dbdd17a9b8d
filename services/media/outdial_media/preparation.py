"""Conversations made ready while the phone rings (PROTOCOL.md 11).

What is reserved on this pod is prepared; what is reserved no longer is dropped.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import structlog

from outdial.operations.conversation_record import (
    ConversationBrief,
    Standing,
    open_conversation,
)
from outdial.operations.look_up import look_up
from outdial_media import metrics
from outdial_media.conversation import Conversation, Kit, make_conversation
from outdial_media.provider_sockets import sockets_of
from outdial_media.taken_apart import take_apart_soon
from outdial_media.telephone_line import TelephoneLine

_log = structlog.get_logger(__name__)

AT_ONCE = 2
"""Pipelines being built at a time: each costs the live calls some milliseconds of the loop."""


@dataclass
class Prepared:
    """A conversation that waits for its socket."""

    line: TelephoneLine
    conversation: Conversation


class Preparation:
    """The conversations that this pod has ready, by attempt."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._work: dict[UUID, asyncio.Task[Prepared | None]] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._dropping: set[asyncio.Task[None]] = set()
        self._sockets = kit.services.sockets
        self._light: set[UUID] = set()  # gave their sockets to live calls

    @property
    def attempts(self) -> list[UUID]:
        """What is ready, or being made so."""
        return list(self._work)

    def follow(self, reserved: Iterable[UUID]) -> None:
        """Prepare what is reserved here, drop what is not any more."""
        wanted = set(reserved)
        for attempt_id in wanted - self._work.keys():
            self._work[attempt_id] = asyncio.create_task(self._prepare(attempt_id))
        for attempt_id in self._work.keys() - wanted:
            self._drop(attempt_id)
        self._light &= wanted
        metrics.prepared_calls.set(len(self._work))

    async def take(self, attempt_id: UUID, stream_no: int) -> Prepared | None:
        """The prepared conversation of a call that was answered; None if there is none."""
        work = self._work.pop(attempt_id, None)
        if work is None:
            return None
        if not work.done():
            work.cancel()  # it would be waited for: building anew is what it would do anyway
            return None
        prepared = work.result() if work.exception() is None else None
        if prepared is not None and prepared.conversation.brief.stream_no != stream_no:
            await _let_go(prepared.conversation)
            self._sockets.forget_prepared(attempt_id)
            return None
        return prepared

    def plan_changed(self, attempt_id: UUID, standing: Standing) -> None:
        """A call that will not be talked to any more needs no preparing."""
        if standing.ended or standing.stop_reason:
            self._drop(attempt_id)

    async def close(self) -> None:
        """Drop everything."""
        self.follow(())
        if self._dropping:
            await asyncio.wait(self._dropping)

    async def _prepare(self, attempt_id: UUID) -> Prepared | None:
        brief = await open_conversation(self._kit.runtime, attempt_id, stream_no=1)
        if brief is not None and brief.awaits_lookup:
            if not await self._look_up(attempt_id):  # behind nobody's pipeline: its claim runs out
                return None
            brief = await open_conversation(self._kit.runtime, attempt_id, stream_no=1)
        async with self._turn:
            return await self._build(brief)

    def lighten(self, attempt_id: UUID) -> None:
        """A live call needs the sockets: this one connects when it is answered."""
        self._light.add(attempt_id)
        self._drop(attempt_id)

    def _may_connect(self, brief: ConversationBrief) -> bool:
        if brief.template.prepare != "full" or brief.attempt_id in self._light:
            return False
        return self._sockets.prepare(brief.attempt_id, sockets_of(brief.template.voice))

    async def _look_up(self, attempt_id: UUID) -> bool:
        """Nobody is dialed before the template's lookup is answered, on the pod that is to talk."""
        try:
            await look_up(self._kit.runtime, self._kit.http, attempt_id)
        except Exception as error:  # noqa: BLE001 - a store was away: the next beat begins anew
            _log.warning("lookup_not_written", attempt_id=str(attempt_id), error=repr(error)[:300])
            self._work.pop(attempt_id, None)
            return False
        return True

    async def _build(self, brief: ConversationBrief | None) -> Prepared | None:
        if brief is None or brief.awaits_lookup or brief.template.prepare == "none":
            return None
        line = TelephoneLine()
        conversation = await make_conversation(self._kit, brief, line)
        try:
            if self._may_connect(brief):
                await asyncio.sleep(0)
                await conversation.prepare()
        except BaseException:
            await _let_go(conversation)
            self._sockets.forget_prepared(brief.attempt_id)
            raise
        return Prepared(line, conversation)

    def _drop(self, attempt_id: UUID) -> None:
        if (work := self._work.pop(attempt_id, None)) is not None:
            task = asyncio.create_task(self._discard(attempt_id, work))
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)

    async def _discard(self, attempt_id: UUID, work: asyncio.Task[Prepared | None]) -> None:
        if not work.done():
            work.cancel()
        with suppress(asyncio.CancelledError, Exception):
            if (prepared := await work) is not None:
                await _let_go(prepared.conversation)
        if attempt_id not in self._work:  # or it is prepared once more already
            self._sockets.forget_prepared(attempt_id)


async def _let_go(conversation: Conversation) -> None:
    """Nobody will talk on it."""
    await conversation.discard()
    take_apart_soon(conversation.parts)

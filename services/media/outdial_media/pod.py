"""A media pod: its models, its live calls, and how it comes and goes."""

import asyncio
import ctypes
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from uuid import UUID

import structlog
from starlette.responses import Response
from starlette.websockets import WebSocket

from outdial.domain.attempt_state import Plan
from outdial.domain.internet_address import read_allow_list
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.conversation_record import Standing, open_conversation
from outdial.operations.guarded_http import GuardedHttp
from outdial.operations.move_call import move_call
from outdial.operations.runtime import Runtime
from outdial.routing.pod_registry import BeatAnswer, Heartbeat
from outdial.routing.stream_token import LIFETIME_SECONDS, StreamClaims
from outdial_media import metrics
from outdial_media.admission import Admission, Refused
from outdial_media.conversation import Conversation, Kit, make_conversation
from outdial_media.garbage import Garbage
from outdial_media.heartbeat import keep_beating
from outdial_media.loop_lag import Overload, watch_lag
from outdial_media.plan_watch import PlanWatch
from outdial_media.preparation import Preparation
from outdial_media.provider_sockets import OF_A_CALL
from outdial_media.shared_models import SharedModels
from outdial_media.speech_services import SpeechServices
from outdial_media.taken_apart import take_apart_soon
from outdial_media.telephone_line import TelephoneLine
from outdial_media.voice_check import VoiceCheck
from outdial_media.warm_up import warm_up

_log = structlog.get_logger(__name__)

START_SECONDS = 10.0
"""A socket on which no `start` came by then is closed."""

ON_THE_WAY_SECONDS = 3.0
"""How long a pod that drains waits for calls that were just sent to it, when there are any."""

PAUSE_SECONDS = 3.0
"""How long after a call nothing of it is left."""

LAST_WRITES_SECONDS = 5.0
"""How long calls that were cut may take to write what happened."""


class Pod:
    """One process that offers slots. `boot_id` is new at each start, so tokens die with it."""

    def __init__(self, kit: Kit) -> None:
        self.boot_id = secrets.token_urlsafe(9)
        self._kit = kit
        self._settings = kit.runtime.settings
        self._sockets = kit.services.sockets
        self._most = self._sockets.slots(self._settings.pod_slots)
        metrics.slots.set(self._most)
        self._admission = Admission(self._settings, self.boot_id, self._most)
        self._preparation = Preparation(kit)
        self._voices = VoiceCheck(kit.runtime, kit.services.foreign)
        self._overload = Overload()
        self.garbage = Garbage()
        self._live: dict[UUID, Conversation | None] = {}
        self._cleaning: asyncio.TimerHandle | None = None
        self._draining = False
        self._expected = 0  # reserved here and not yet live, as the registry said last
        self._retiring: asyncio.Task[None] | None = None
        self._empty = asyncio.Event()
        self._empty.set()
        self._wake = asyncio.Event()
        self._accepted = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether calls can be sent here: the models are loaded and the registry knows us."""
        return self._accepted.is_set() and not self._draining

    @property
    def calls(self) -> int:
        """How many calls go on."""
        return len(self._live)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Beat and watch as long as the block lasts."""
        await self._voices.look()  # what is slow to load is loaded before there are calls
        watch = PlanWatch(
            self._kit.runtime,
            lambda: [*self._live, *self._preparation.attempts],
            self._plan_changed,
        )
        beating = keep_beating(
            self._kit.runtime, self._describe, self._follow, self._wake, self._accepted
        )
        tasks = [
            asyncio.create_task(beating),
            asyncio.create_task(watch.run()),
            asyncio.create_task(self._voices.run()),
            asyncio.create_task(watch_lag(self._overload, self._admission_changed)),
        ]
        try:
            yield
        finally:
            await self.drain(LAST_WRITES_SECONDS)
            if self._retiring is not None:
                tasks.append(self._retiring)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._preparation.close()

    async def drain(self, seconds: float) -> bool:
        """Take no new calls and wait for those that go on; False if some did not end in time."""
        self._draining = True
        self._wake.set()
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    async def retire(self, seconds: float) -> None:
        """Drain, and when that takes longer than `seconds`, let the rest go on at other pods.

        A call that was answered a moment ago may be on its way here: it is waited for.
        """
        self._draining = True
        metrics.draining.set(1)
        self._accepted.clear()
        self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.pod_out_after_seconds):
                await self._accepted.wait()
        if self._expected:
            await asyncio.sleep(ON_THE_WAY_SECONDS)
        if not await self.drain(seconds):
            await self._hand_over()

    async def _hand_over(self) -> None:
        """Move the calls that still go on; one that finds no room elsewhere is left to talk."""
        here = (self._settings.pod_id, self.boot_id)
        for attempt_id, conversation in list(self._live.items()):
            if conversation is None:
                continue
            stream_no = conversation.brief.stream_no
            try:
                moved = await move_call(
                    self._kit.runtime, attempt_id, stream_no, here, "handed_over"
                )
            except STORE_ERRORS as error:
                _log.warning("call_not_handed_over", error=repr(error))
                continue
            if moved is not None:
                # It closes its socket; Twilio asks `action`, and is sent to the other pod.
                standing = Standing(Plan.CONVERSATION, stream_no + 1, None, ended=False)
                conversation.plan_changed(standing)
        await self.drain(LAST_WRITES_SECONDS)

    async def enter(self, websocket: WebSocket, path: str, token: str) -> None:
        """A socket knocks: refuse it before it is accepted, or hold its conversation."""
        signature = websocket.headers.get("x-twilio-signature")
        admitted = self._admission.admit(path, token, signature, self.calls, self._has_room)
        if isinstance(admitted, StreamClaims) and admitted.attempt_id in self._live:
            admitted = Refused(409, "live")
        if isinstance(admitted, Refused):
            metrics.refused.labels(admitted.reason).inc()
            _log.warning("socket_refused", reason=admitted.reason)
            await websocket.send_denial_response(Response(status_code=admitted.status))
            return
        self._live[admitted.attempt_id] = None
        self._empty.clear()
        self._wake.set()  # the registry should know at once: the slot is live, not reserved
        try:
            await self._hold(websocket, admitted)
        finally:
            del self._live[admitted.attempt_id]
            self._sockets.end(admitted.attempt_id)
            if not self._live:
                self._empty.set()
            self.garbage.call_ended()
            self._clean_up_later()

    def _clean_up_later(self) -> None:
        """Once, when no call has ended for a while: it takes 30 ms."""
        if self._cleaning is not None:
            self._cleaning.cancel()
        loop = asyncio.get_running_loop()
        self._cleaning = loop.call_later(PAUSE_SECONDS, self._clean_up_if_idle)

    def _clean_up_if_idle(self) -> None:
        if not (self._live or self._preparation.attempts):
            self.garbage.pause()
            _give_memory_back()

    async def _hold(self, websocket: WebSocket, claims: StreamClaims) -> None:
        prepared = await self._preparation.take(claims.attempt_id, claims.stream_no)
        for attempt_id in self._sockets.go_live(claims.attempt_id, OF_A_CALL):
            self._preparation.lighten(attempt_id)
        line = prepared.line if prepared else TelephoneLine()
        await websocket.accept()
        reading = asyncio.create_task(line.serve(websocket))
        try:
            conversation = prepared.conversation if prepared else await self._make(claims, line)
            if conversation is not None:
                self._live[claims.attempt_id] = conversation
                try:
                    await _converse(conversation, line, claims)
                finally:
                    take_apart_soon(conversation.parts)
        finally:
            await line.close()
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    async def _make(self, claims: StreamClaims, line: TelephoneLine) -> Conversation | None:
        """Build a conversation while its socket is already read."""
        brief = await open_conversation(self._kit.runtime, claims.attempt_id, claims.stream_no)
        if brief is None:
            _log.warning("nothing_to_say", attempt_id=str(claims.attempt_id))
            return None
        return await make_conversation(self._kit, brief, line)

    def _plan_changed(self, attempt_id: UUID, standing: Standing) -> None:
        if (conversation := self._live.get(attempt_id)) is not None:
            conversation.plan_changed(standing)
        elif attempt_id not in self._live:
            self._preparation.plan_changed(attempt_id, standing)

    def _has_room(self, attempt_id: UUID) -> bool:
        """While the loop is late, only those may come whose slot was promised before it was."""
        return not self._overload.closed or attempt_id in self._preparation.attempts

    def _admission_changed(self) -> None:
        _log.warning("admission_changed", closed=self._overload.closed, calls=self.calls)
        self._wake.set()  # the registry should know at once

    def _slots(self) -> int:
        """What is offered; while the loop is late, no more than is taken."""
        if not self._overload.closed:
            return self._most
        taken = len(self._live) + len(self._preparation.attempts)
        return min(taken, self._most)

    def _follow(self, answer: BeatAnswer) -> None:
        reserved = [i for i in answer.reserved if i not in self._live]
        self._expected = len(reserved)
        metrics.reserved_slots.set(self._expected)
        self._preparation.follow(reserved)
        if answer.drain and self._retiring is None:
            _log.info("asked_to_drain", calls=self.calls)
            self._retiring = asyncio.create_task(self.retire(self._settings.drain_seconds))

    def _describe(self) -> Heartbeat:
        return Heartbeat(
            pod_id=self._settings.pod_id,
            boot_id=self.boot_id,
            url=self._settings.pod_public_url,
            slots=self._slots(),
            state="draining" if self._draining else "ready",
            preparing=self._preparation.attempts,
            live=list(self._live),
            labels={**self._settings.labels, **self._voices.labels},
            health_url=self._settings.pod_health_url,
        )


@asynccontextmanager
async def open_pod(runtime: Runtime) -> AsyncIterator[Pod]:
    """A pod with its models loaded and its beat going; everything is closed on the way out."""
    async with AsyncExitStack() as stack:
        models = await asyncio.to_thread(SharedModels)
        stack.callback(models.close)
        await asyncio.to_thread(models.warm_up)
        services = SpeechServices(runtime.settings)
        stack.push_async_callback(services.close)
        http = GuardedHttp(read_allow_list(runtime.settings.http_tools_allow))
        stack.push_async_callback(http.close)
        await warm_up(models, services)
        pod = Pod(Kit(runtime, models, services, http))
        pod.garbage.start()
        await stack.enter_async_context(pod.at_work())
        yield pod


async def _converse(conversation: Conversation, line: TelephoneLine, claims: StreamClaims) -> None:
    await conversation.prepare()
    try:
        async with asyncio.timeout(START_SECONDS):
            await _either(line.started, line.ended)
    except TimeoutError:
        _log.warning("no_start", attempt_id=str(conversation.brief.attempt_id))
    if line.started.is_set():
        issued = claims.expires_at - LIFETIME_SECONDS
        metrics.stream_start.observe(max(0.0, time.time() - issued))
        await conversation.talk()
    else:
        await conversation.discard()


async def _either(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when="FIRST_COMPLETED")
    finally:
        for wait in waits:
            wait.cancel()


def _give_memory_back() -> None:
    """Glibc keeps what freed calls took, at its peak, unless it is asked (Linux only)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)

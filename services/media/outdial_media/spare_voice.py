"""A voice that speaks on when its service does not: the same words, from elsewhere.

Works around any service of pipecat 1.14: what a reply should say is kept until its sound is there.
When the service errs, stays silent or stops in the middle, the rest is made by `spare` (one
request a sentence) and put where the service's sound would have been.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.services.tts_service import TTSService

from outdial_media.pauses import from_pause
from outdial_media.twilio_frames import SAMPLE_RATE

Spare = Callable[[str], Awaitable[bytes]]
"""16-bit PCM of a text; raises VoiceLost when no voice speaks it."""


LOST_SECONDS = 1.0
"""A reply that no voice speaks is not over as if it had been heard: whoever is told of the loss
interrupts it. If nobody does, it ends after so long."""


class VoiceLost(Exception):
    """No voice speaks; the message says what each did."""


@dataclass
class _Reply:
    """One audio context: what is to be said in it, and what came of it."""

    texts: list[str] = field(default_factory=list)
    received: int = 0  # bytes of sound
    by_spare: bool = False
    lost: bool = False  # the spare does not speak it either
    failed: bool = False
    being_sent: bool = False
    ended: bool = False  # the service has said that this was all
    news: asyncio.Event = field(default_factory=asyncio.Event)
    watch: asyncio.Task[None] | None = None


if TYPE_CHECKING:
    _Base = TTSService
else:
    _Base = object


class SpeaksOn(_Base):
    """Put before a TTSService among a class's bases."""

    spare: Spare | None = None
    silence_seconds: float = 1.5
    """How long a reply that was handed over whole may stay without (more) sound."""

    tells_its_end: bool = False
    """Whether the service says of each reply that this was all. One that is closed before has
    broken off: upstream closes what is open when it connects anew."""

    ends_quietly: bool = False
    """Whether a reply's end may go untold: silence after sound is no failure then."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._replies: dict[str, _Reply] = {}
        self._out_of_order = False
        self.on_sound: Callable[[], None] = lambda: None
        """Sound has come, the service's or the spare's."""
        self.on_replaced: Callable[[str], None] = lambda _error: None
        """The service has failed, and the spare speaks: why."""
        super().__init__(*args, **kwargs)

    async def _synthesize_text(self, text: str, context_id: str) -> None:
        """Hand `text` over, or have the spare speak it at once."""
        reply = self._replies.setdefault(context_id, _Reply())
        reply.texts.append(text)
        if self.spare is None:
            await super()._synthesize_text(text, context_id)
            return
        if not (self._out_of_order or reply.by_spare):
            reply.being_sent = True
            await super()._synthesize_text(text, context_id)
            reply.being_sent = False
            if not reply.failed:
                return
            await self._replace(context_id, reply, "it does not take text")
        elif reply.by_spare:
            await self._speak(context_id, text)
        else:
            await self._replace(context_id, reply, "")

    async def flush_audio(self, context_id: str | None = None) -> None:
        """The reply is whole: end it, or see to it that it is spoken."""
        reply = self._replies.get(context_id or "")
        if reply is None or context_id is None or self.spare is None:
            await super().flush_audio(context_id)
        elif reply.lost:
            reply.watch = self.create_task(self._finish(context_id))
        elif reply.by_spare:
            await self._finish(context_id)
        else:
            reply.watch = self.create_task(self._watch(context_id, reply))
            await super().flush_audio(context_id)

    async def append_to_audio_context(self, context_id: str | None, frame: Any) -> None:
        """What the service brings for a reply; too late once the spare speaks it."""
        reply = self._replies.get(context_id or "")
        if reply is not None and self.spare is not None:
            if isinstance(frame, ErrorFrame):
                reply.failed = True
                reply.news.set()
                return
            mine = frame is None or isinstance(frame, TTSAudioRawFrame | TTSStoppedFrame)
            if mine and reply.by_spare:
                return
            if frame is None and self.tells_its_end and not reply.ended:
                self._fail([reply])
                return  # the spare goes on where this one stopped, and closes it
            if isinstance(frame, TTSAudioRawFrame):
                self.on_sound()
                reply.received += len(frame.audio)
            reply.ended = reply.ended or isinstance(frame, TTSStoppedFrame)
            if mine:
                reply.news.set()
        await super().append_to_audio_context(context_id, frame)
        if reply is not None and frame is None:
            self._forget(context_id)

    async def push_error_frame(
        self, error: ErrorFrame, force_treat_as_permanent: bool = False
    ) -> None:
        """An error of the service is the spare's cue; only the spare's own ends the voice."""
        if self.spare is None or isinstance(error.exception, VoiceLost):
            await super().push_error_frame(error, force_treat_as_permanent)
            return
        self._break(error.error)
        self._fail(list(self._replies.values()))

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """The person interrupts: the rest need not be spoken."""
        self._forget(context_id)
        await super().on_audio_context_interrupted(context_id)

    async def on_audio_context_completed(self, context_id: str) -> None:
        """All of it was passed on."""
        self._forget(context_id)
        await super().on_audio_context_completed(context_id)

    async def cleanup(self) -> None:
        """Let go of replies that the call's end has overtaken."""
        watches = [reply.watch for reply in self._replies.values() if reply.watch is not None]
        self._replies.clear()
        for watch in watches:
            await self.cancel_task(watch)
        await super().cleanup()

    def _connected(self) -> None:
        """A new connection: what the old one was given is lost, what follows is not."""
        self._out_of_order = False
        self._fail([reply for reply in self._replies.values() if not reply.being_sent])

    def _fail(self, replies: list[_Reply]) -> None:
        for reply in replies:
            reply.failed = True
            reply.news.set()

    def _break(self, error: str) -> None:
        if not self._out_of_order:
            self._out_of_order = True
            self.on_replaced(error)

    def _forget(self, context_id: str | None) -> None:
        reply = self._replies.pop(context_id or "", None)
        if reply is not None and reply.watch not in (None, asyncio.current_task()):
            reply.watch.cancel()

    async def _watch(self, context_id: str, reply: _Reply) -> None:
        """Wait until the reply's end has come (then it is forgotten), or nothing comes any more."""
        while not (reply.failed or reply.ended):
            reply.news.clear()
            try:
                async with asyncio.timeout(self.silence_seconds):
                    await reply.news.wait()
            except TimeoutError:
                break
        if reply.ended or (self.ends_quietly and reply.received and not reply.failed):
            return
        await self._replace(context_id, reply, "no sound")
        await self._finish(context_id)

    async def _replace(self, context_id: str, reply: _Reply, error: str) -> None:
        """Speak what is left of the reply with the spare."""
        reply.by_spare = True
        if error:
            self._break(error)
        await self._speak(context_id, " ".join(reply.texts), reply.received)

    async def _speak(self, context_id: str, text: str, skip: int = 0) -> None:
        assert self.spare is not None  # noqa: S101 - asked by every caller
        self._refresh_audio_context(context_id)  # or it is closed as quiet in the meantime
        try:
            pcm = await self.spare(text)
        except VoiceLost as error:
            if (reply := self._replies.get(context_id)) is not None:
                reply.lost = True
            await self.push_error(str(error), exception=error, force_treat_as_permanent=True)
            return
        rest = from_pause(pcm, skip)
        if rest:
            self.on_sound()
            frame = TTSAudioRawFrame(rest, SAMPLE_RATE, 1, context_id=context_id)
            await self._pass_on(context_id, frame)

    async def _finish(self, context_id: str) -> None:
        if context_id in self._replies and self._replies[context_id].lost:
            await asyncio.sleep(LOST_SECONDS)
        await self._pass_on(context_id, TTSStoppedFrame(context_id=context_id))
        await self._pass_on(context_id, None)
        self._forget(context_id)

    async def _pass_on(self, context_id: str, frame: Frame | None) -> None:
        await super().append_to_audio_context(context_id, frame)

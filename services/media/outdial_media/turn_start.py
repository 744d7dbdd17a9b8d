"""When the person takes the turn, and when they only let the agent know that they listen.

A voice over the agent's holds what it says, at once. Words decide: backchannels, or none at all (a
cough, a door), let it go on from where it was; anything else, or a voice that goes on, interrupts
it. A backchannel that comes where an answer is due is one (`backchannel.py` has the rules).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_start import BaseUserTurnStartStrategy

from outdial_media import metrics
from outdial_media.backchannel import Backchannels, invites_answer
from outdial_media.saying import Said
from outdial_media.turn_taking import AllHeardFrame, PhoneTurnStop

WORDS_SECONDS = 0.6
"""After the voice has ended, its words are waited for so long (Deepgram's p99 is 0.35 s)."""

LIKELY_SECONDS = 0.5
"""A line that tells no more of a likely voice for so long holds nobody."""

CALM_SECONDS = 2.0
"""After a likely voice that was none, so long only voices hold: the line may be a noisy one."""

_LATE_SECONDS = 0.1  # of voice activity, whose windows and frames are 20 to 40 ms long


class Agent(Protocol):
    """What the agent says, as the output knows it."""

    def said_now(self) -> Said | None:
        """None in silence."""

    async def hold(self) -> Said | None:
        """Fall silent, able to go on; None where there is nothing to hold."""

    async def go_on(self, *, from_pause: bool = True) -> None:
        """Say what was held, from a pause before it or from the very place."""


@dataclass
class _Voice:
    """What is heard over the agent."""

    said: Said
    until: float  # who speaks longer interrupts (monotonic)
    speaks: bool = True
    finals: list[str] = field(default_factory=list)
    interim: str = ""

    @property
    def words(self) -> str:
        return " ".join([*self.finals, self.interim]).strip()


class PhoneTurnStart(BaseUserTurnStartStrategy):
    """Begins the person's turns (pipecat 1.14).

    In the agent's silence a turn begins with a voice, or words. `muted`: the person is not heard
    by the conversation at the moment.
    """

    def __init__(
        self,
        agent: Agent,
        stop: PhoneTurnStop,
        backchannels: Backchannels,
        *,
        longest_seconds: float,
        silence_seconds: float,
        muted: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._agent = agent
        self._stop = stop
        self._backchannels = backchannels
        self._longest = longest_seconds
        self._silence = silence_seconds  # after which a voice is said to have ended
        self._muted = muted
        self._voice: _Voice | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._in_turn = False
        self._likely: Said | None = None  # what is held for a voice that is only likely
        self._holding: asyncio.Task[None] | None = None
        self._calm_at = 0.0  # monotonic
        self.on_passed_over: Callable[[str], None] = lambda _text: None
        """The agent went on: what was said meanwhile ("" for no words) is no turn."""

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Begin a turn, or hold the agent until it is known whether this is one."""
        if self._in_turn:
            return ProcessFrameResult.CONTINUE
        match frame:
            case VADUserStartedSpeakingFrame():
                return await self._voice_began(frame.start_secs)
            case VADUserStoppedSpeakingFrame():
                await self._voice_ended()
            case TranscriptionFrame() | InterimTranscriptionFrame():
                return await self._words_came(frame)
            case AllHeardFrame() if self._voice is not None and not self._voice.speaks:
                await self._pass_over(self._voice)
        return ProcessFrameResult.CONTINUE

    def voice_is_likely(self, likely: bool) -> None:
        """Hold the agent some 40 ms before a voice is sure; it says on at once if there is none."""
        if likely:
            self._holding = self.create_task(self._hold_early(), "a voice is likely")
        elif self._likely is not None:
            self.create_task(self._was_no_voice(), "there was no voice")

    async def _hold_early(self) -> None:
        held = self._in_turn or self._voice is not None or self._likely is not None
        calm = time.monotonic() >= self._calm_at
        if held or not calm or self._muted() or not self._backchannels.phrases:
            return
        said = await self._agent.hold()
        if said is not None and not self._in_turn:  # else the turn has cleared what was held
            self._likely = said
            self._stop_waiting()
            self._timer = asyncio.get_running_loop().call_later(
                LIKELY_SECONDS, self.voice_is_likely, False
            )

    async def _was_no_voice(self) -> None:
        if self._likely is None:
            return
        self._likely, self._calm_at = None, time.monotonic() + CALM_SECONDS
        self._stop_waiting()
        await self._agent.go_on(from_pause=False)
        metrics.held.labels("nothing").inc()

    async def handle_user_turn_started(self) -> None:
        """It is the person's turn, whoever found that."""
        self._in_turn, self._voice, self._likely = True, None, None
        self._stop_waiting()

    async def handle_user_turn_stopped(self) -> None:
        """It was."""
        self._in_turn = False

    async def cleanup(self) -> None:
        """Let go of everything."""
        self._stop_waiting()
        await super().cleanup()

    async def _voice_began(self, late: float) -> ProcessFrameResult:
        voice = self._voice
        now = time.monotonic()
        if voice is None:
            if self._holding is not None:
                await self._holding
            said, self._likely = self._likely, None
            if said is None and self._backchannels.phrases:
                said = await self._agent.hold()
            if said is None:
                return await self._take_turn()
            voice = self._voice = _Voice(said, now - late + self._longest + _LATE_SECONDS)
        elif now >= voice.until:
            return await self._take_turn()
        else:
            voice.speaks = True
            await self._agent.hold()
        self._wait(max(0.0, voice.until - now) + self._silence, self._goes_on)
        return ProcessFrameResult.CONTINUE

    async def _voice_ended(self) -> None:
        voice = self._voice
        if voice is None:
            return
        voice.speaks = False
        self._wait(WORDS_SECONDS, self._no_words)
        if voice.words:  # and they are backchannels, or it would be a turn by now
            await self._agent.go_on()

    async def _words_came(
        self, frame: TranscriptionFrame | InterimTranscriptionFrame
    ) -> ProcessFrameResult:
        text, voice = frame.text.strip(), self._voice
        said = voice.said if voice else self._likely or self._agent.said_now()
        if not text:
            return ProcessFrameResult.CONTINUE
        if said is None:
            return await self._take_turn()
        final = isinstance(frame, TranscriptionFrame)
        voice = voice or _Voice(said, 0.0, speaks=False)
        voice.interim = "" if final else text
        if final:
            voice.finals.append(text)
        if not self._is_backchannel(voice, final=final):
            return await self._take_turn()
        if final and not voice.speaks:
            await self._pass_over(voice, frame)
        return ProcessFrameResult.CONTINUE

    def _is_backchannel(self, voice: _Voice, *, final: bool) -> bool:
        known = self._backchannels
        listens = known.holds_only if final else known.may_hold_only
        return listens(voice.words) and not invites_answer(voice.said)

    async def _take_turn(self) -> ProcessFrameResult:
        if self._voice is not None:
            self._voice = None
            self._stop_waiting()
            self._stop.knows_the_beginning = True
            metrics.held.labels("interruption").inc()
        await self.trigger_user_turn_started()
        return ProcessFrameResult.STOP

    async def _pass_over(self, voice: _Voice, last: Frame | None = None) -> None:
        self._voice = self._likely = None
        self._stop_waiting()
        await self._agent.go_on()
        metrics.held.labels("backchannel" if voice.words else "noise").inc()
        await self._stop.pass_over(last)
        await self.trigger_reset_aggregation()
        self.on_passed_over(voice.words)

    # What does not come.

    def _wait(self, seconds: float, then: Callable[[_Voice], Awaitable[None]]) -> None:
        self._stop_waiting()
        voice = self._voice

        async def due() -> None:
            if voice is not None and self._voice is voice:
                await then(voice)

        self._timer = asyncio.get_running_loop().call_later(
            seconds, lambda: self.create_task(due(), "the agent is held")
        )

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _no_words(self, voice: _Voice) -> None:
        await self._pass_over(voice)

    async def _goes_on(self, voice: _Voice) -> None:
        if self._muted():  # its end was not told, and nobody is to be interrupted
            await self._pass_over(voice)
        elif voice.speaks:
            await self._take_turn()

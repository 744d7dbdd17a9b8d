"""The record of one call as it goes: ordered turns and milestones, written in the background."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pipecat.frames.frames import TranscriptionFrame

from outdial.observability import traces
from outdial.operations.conversation_record import (
    ConversationBrief,
    SpokenTurn,
    record_milestone,
    save_turn,
)
from outdial.operations.runtime import Runtime
from outdial_media.background_writer import BackgroundWriter
from outdial_media.playback import Speech


class Transcript:
    """Turns get their positions in the order in which they ended."""

    def __init__(
        self, runtime: Runtime, brief: ConversationBrief, writer: BackgroundWriter
    ) -> None:
        self._runtime = runtime
        self._brief = brief
        self._writer = writer
        self._position = 0
        self._finals: list[dict[str, Any]] = []
        self._speech_began: float | None = None
        self._speech_ended: float | None = None
        self.human_turns = 0

    def heard(self, frame: TranscriptionFrame) -> None:
        """A piece of recognition has come; it belongs to the person's next turn."""
        self._finals.append(_raw(frame))

    def person_spoke(self, speaking: bool, when: float) -> None:
        """The person began or stopped to speak, at a monotonic time."""
        if not speaking:
            self._speech_ended = when
        elif self._speech_began is None:
            self._speech_began, self._speech_ended = when, None

    @property
    def unanswered(self) -> str:
        """What was recognised since the person's last turn ended."""
        return " ".join(final["transcript"] for final in self._finals).strip()

    def person_turn(self, text: str) -> None:
        """The person's turn is over."""
        finals, self._finals = self._finals, []
        began, self._speech_began = self._speech_began, None
        if not text.strip():
            return
        self.human_turns += 1
        self._add_person(text, began, {"finals": finals} if finals else None)

    def backchannel(self, text: str) -> None:
        """The person let the agent know that they listen ("mm-hm"), or there was a noise ("")."""
        finals, self._finals = self._finals, []
        began, self._speech_began = self._speech_began, None
        if text.strip():
            self._add_person(text, began, {"backchannel": True, "finals": finals})

    def _add_person(self, text: str, began: float | None, raw: dict[str, Any] | None) -> None:
        self._add(
            SpokenTurn(
                role="person",
                text=text.strip(),
                started_at=_clock(began),
                ended_at=_clock(self._speech_ended),
                raw=raw,
            )
        )

    def agent_turn(
        self,
        text: str,
        speech: Speech | None,
        *,
        interrupted: bool = False,
        heard_seconds: float | None = None,
        latency_ms: int | None = None,
    ) -> None:
        """The agent's turn is over: all of it, or the part that was heard."""
        if not text.strip():
            return
        seconds = heard_seconds if heard_seconds is not None else speech.seconds if speech else 0.0
        self._add(
            SpokenTurn(
                role="agent",
                text=text.strip(),
                started_at=_clock(speech.began if speech else None),
                ended_at=_clock(speech.ended(seconds) if speech else None),
                interrupted=interrupted,
                latency_ms=latency_ms,
                raw={"ms_after_speech": speech.timing} if speech and speech.timing else None,
            )
        )

    def trace_reply(self, latency_ms: int, steps: Mapping[str, int]) -> None:
        """A reply begins to be heard: a span from the person's last sound until now."""
        began = datetime.now(UTC) - timedelta(milliseconds=latency_ms)
        span = traces.span("turn", self._brief.span, began=began, turn=self._position)
        span.set(**{f"{step}_ms": milliseconds for step, milliseconds in steps.items()})
        span.end()

    def filler(self, text: str, seconds: float) -> None:
        """Something was said to cover a wait. The model is not told."""
        began = time.monotonic()
        self._add(
            SpokenTurn(
                role="agent",
                text=text,
                started_at=_clock(began),
                ended_at=_clock(began + seconds),
                raw={"filler": True},
            )
        )

    def milestone(
        self, kind: str, payload: Mapping[str, object] | None = None, key: str | None = None
    ) -> None:
        """A fact about this stream, as of now."""
        brief, now = self._brief, datetime.now(UTC)
        dedupe_key = key or f"{kind}:{brief.stream_no}"
        full = {"stream_no": brief.stream_no, **(payload or {})}
        self._writer.add(
            lambda: record_milestone(
                self._runtime, brief.attempt_id, kind, dedupe_key, full, occurred_at=now
            )
        )

    def _add(self, turn: SpokenTurn) -> None:
        position, self._position = self._position, self._position + 1
        brief = self._brief
        self._writer.add(
            lambda: save_turn(self._runtime, brief.attempt_id, brief.stream_no, position, turn)
        )


def _clock(monotonic: float | None) -> datetime | None:
    """The wall clock's time at a monotonic one."""
    if monotonic is None:
        return None
    return datetime.now(UTC) - timedelta(seconds=time.monotonic() - monotonic)


def _raw(frame: TranscriptionFrame) -> dict[str, Any]:
    """Recognition as it came, without what can be computed again."""
    raw: dict[str, Any] = {"transcript": frame.text}
    result = frame.result
    channel = getattr(result, "channel", None)
    if channel is not None and channel.alternatives:
        raw["confidence"] = channel.alternatives[0].confidence
        raw["start"] = getattr(result, "start", None)
        raw["duration"] = getattr(result, "duration", None)
    return raw

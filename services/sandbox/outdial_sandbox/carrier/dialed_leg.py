"""The second leg of a `<Dial>`: somebody else is called, and both hear each other.

The leg has no clock of its own: the line of the first leg pulls what this one says and hands on
what the other says, 20 ms at a time. Until the two are bridged the first leg hears nothing (Twilio
plays ringing), and the second hears the whisper.
"""

import asyncio
import math
import time
import zlib
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from outdial_sandbox.carrier.identifiers import new_sid
from outdial_sandbox.carrier.network import Network
from outdial_sandbox.carrier.playback import Prompt
from outdial_sandbox.people.behaviour import (
    FRAME_SAMPLES,
    Behaviour,
    Frame,
    HangUp,
    Person,
    Utterance,
)

DialStatus = Literal["completed", "busy", "no-answer", "failed", "canceled"]

_SILENCE: Frame = np.zeros(FRAME_SAMPLES, np.int16)
_UNANSWERED: dict[str, DialStatus] = {"busy": "busy", "rejected": "busy", "no_answer": "no-answer"}


@dataclass
class LegRecord:
    """What the ledger keeps. Times are epoch seconds; `bridged_at` is when the two met."""

    to: str
    caller: str
    person: str
    sid: str = field(default_factory=lambda: new_sid("CA"))
    began_at: float = field(default_factory=time.time)
    answered_at: float | None = None
    bridged_at: float | None = None
    ended_at: float | None = None
    status: DialStatus | None = None
    whispered: bool = False
    heard_seconds: float = 0.0  # speech of the first leg that this one heard
    utterances: list[Utterance] = field(default_factory=list)

    def entry(self) -> dict[str, Any]:
        """For the ledger."""
        words = [{"text": said.text, "intent": said.intent} for said in self.utterances]
        return {**vars(self), "utterances": words}

    def params(self) -> dict[str, str]:
        """What `action` is told."""
        params = {
            "DialCallStatus": self.status or "failed",
            "DialCallSid": self.sid,
            "DialBridged": "true" if self.bridged_at else "false",
        }
        if self.answered_at is not None and self.ended_at is not None:
            seconds = math.ceil(self.ended_at - self.answered_at)
            params["DialCallDuration"] = str(seconds)
        return params

    def end(self, status: DialStatus) -> None:
        """The leg is over; the first to say so is right."""
        if self.status is None:
            self.status, self.ended_at = status, time.time()


class DialedLeg:
    """An `AudioSource` for the line of the first leg, and a listener of it."""

    def __init__(self, record: LegRecord, person: Person, network: Network) -> None:
        self.record = record
        self.over = asyncio.Event()
        self._person = person
        self._network = network
        self._behaviour: Behaviour | None = None
        self._whisper: Prompt | None = None
        self._heard: Frame = _SILENCE

    async def answered(self, patience: float) -> bool:
        """Ring for `patience` seconds at most; whether somebody picked up."""
        answer, settings = self._person.answer, self._network.settings
        ring = min(answer.ring_seconds * settings.ring_scale(), settings.longest_ring)
        limit = min(patience, settings.longest_ring)
        seed = zlib.crc32(f"{self.record.to}/leg".encode())
        preparing = asyncio.create_task(self._get_ready(seed))
        try:
            await asyncio.sleep(min(ring, limit))
            if not answer.picked_up or ring > limit:
                self.record.end(_UNANSWERED.get(answer.kind, "failed") if ring <= limit
                                else "no-answer")  # fmt: skip
                return False
            self._behaviour = await preparing
        finally:
            preparing.cancel()
        self.record.answered_at = time.time()
        return True

    async def _get_ready(self, seed: int) -> Behaviour | None:
        ready = self._person.answer.picked_up and self._network.settings.audio
        return await asyncio.to_thread(self._person.start, seed) if ready else None

    def whisper(self, samples: Frame) -> None:
        """What the second leg hears before the two meet."""
        self._whisper = Prompt(samples)
        self.record.whispered = True

    def pull(self) -> Frame | None:
        """20 ms of what this leg says, for the other; None before they have met."""
        if self._behaviour is None or self.over.is_set():
            return None
        whispered = self._whispered()
        said = self._behaviour.frame(self._heard if whispered is None else whispered)
        self._heard = _SILENCE
        self.record.utterances = self._behaviour.utterances
        if isinstance(said, HangUp):
            self.record.end("completed" if self.record.bridged_at else "no-answer")
            self.over.set()
            return None
        return said if whispered is None else None

    def hear(self, frame: Frame) -> None:
        """20 ms of what the other says."""
        self._heard = frame
        if self.record.bridged_at and float(np.abs(frame.astype(np.int32)).mean()) > 150:
            self.record.heard_seconds += len(frame) / 8000

    def _whispered(self) -> Frame | None:
        """The next 20 ms of the whisper; None when it is over, and the two are bridged."""
        if self._whisper is not None:
            if (frame := self._whisper.pull()) is not None:
                return frame
            self._whisper = None
        self.record.bridged_at = self.record.bridged_at or time.time()
        return None

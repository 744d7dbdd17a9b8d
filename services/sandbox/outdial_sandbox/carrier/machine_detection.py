"""Answering-machine detection from the answering side's audio, and nothing else.

As Twilio describes it: short speech and then silence is a human, speech that goes on is a machine,
nothing for five seconds is unknown, a long tone before any speech is a fax. `DetectMessageEnd`
waits on for the machine's message to end: with a beep, with silence, or otherwise.
"""

from typing import Literal

from outdial_sandbox.carrier.call_request import DetectionRequest
from outdial_sandbox.carrier.tones import Heard, listen
from outdial_sandbox.people.behaviour import FRAME_SECONDS, Frame

Verdict = Literal[
    "human",
    "machine_start",
    "machine_end_beep",
    "machine_end_silence",
    "machine_end_other",
    "fax",
    "unknown",
]

AUDIBLE = 350.0  # root mean square of 16-bit samples, about -39 dBFS
_ABOVE_NOISE = 3.0  # a noisy line: speech is at least this much louder than its floor
_BEEP_SECONDS = 0.14
_FAX_SECONDS = 0.4
_FAX_TONES = (1100.0, 2100.0)  # calling tone, answer tone (T.30)
_MESSAGE_SILENCE = 2.0  # silence that ends a message; a beep comes within it or not at all


class MachineDetector:
    """Takes the callee's frames one by one; gives a verdict once."""

    def __init__(self, request: DetectionRequest) -> None:
        self._ask = request
        self._now = 0.0
        self._floor = AUDIBLE / _ABOVE_NOISE
        self._speech_began: float | None = None
        self._speech_ended = 0.0
        self._tone: float | None = None
        self._tone_seconds = 0.0
        self._machine = False

    @property
    def seconds(self) -> float:
        """How long it has listened."""
        return self._now

    def add(self, frame: Frame) -> Verdict | None:
        """Hear 20 ms. The verdict, when it is reached."""
        self._now += FRAME_SECONDS
        heard = listen(frame, AUDIBLE)
        beep_ended = self._follow_tone(heard)
        if self._is_fax():
            return "fax"
        if beep_ended and self._speech_began is not None:
            return "machine_end_beep" if self._ask.message_end else "machine_start"
        self._follow_speech(heard)
        return self._message_end() if self._machine else self._who()

    def hung_up(self) -> Verdict | None:
        """The callee ended the call: a machine's message is over, too; who else it was is open."""
        return "machine_end_other" if self._machine and self._ask.message_end else None

    def _follow_tone(self, heard: Heard) -> bool:
        """Keep the length of the tone being heard; true when one long enough has just ended."""
        same = self._tone is not None and heard.tone is not None
        if same and abs(heard.tone - self._tone) < 40:  # type: ignore[operator]
            self._tone_seconds += FRAME_SECONDS
            return False
        ended = self._tone_seconds >= _BEEP_SECONDS
        self._tone = heard.tone
        self._tone_seconds = FRAME_SECONDS if heard.tone is not None else 0.0
        return ended

    def _is_fax(self) -> bool:
        return (
            self._speech_began is None
            and self._tone is not None
            and self._tone_seconds >= _FAX_SECONDS
            and any(abs(self._tone - tone) < 30 for tone in _FAX_TONES)
        )

    def _follow_speech(self, heard: Heard) -> None:
        if heard.level > max(AUDIBLE, self._floor * _ABOVE_NOISE):
            # A tone before speech is the line's (fax, ring-back); it does not begin a greeting.
            if heard.tone is None or self._speech_began is not None:
                self._speech_began = self._speech_began or self._now
                self._speech_ended = self._now
        else:
            self._floor += (heard.level - self._floor) * 0.1

    def _who(self) -> Verdict | None:
        if self._now >= self._ask.timeout:
            return "unknown"
        if self._speech_began is None:
            return "unknown" if self._now >= self._ask.silence else None
        if self._speech_ended - self._speech_began >= self._ask.speech_threshold:
            self._machine = True
            return None if self._ask.message_end else "machine_start"
        return "human" if self._now - self._speech_ended >= self._ask.speech_end else None

    def _message_end(self) -> Verdict | None:
        if self._now - self._speech_ended >= max(_MESSAGE_SILENCE, self._ask.speech_end):
            return "machine_end_silence"
        return "machine_end_other" if self._now >= self._ask.timeout else None

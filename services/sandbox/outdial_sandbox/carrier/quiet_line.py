"""The line of a call without audio: nobody speaks, nothing is played, and it ends by itself.

It has `CallAudio`'s methods and no clock, so that ten thousand calls cost what their requests cost.
"""

import asyncio
from collections.abc import Callable

from outdial_sandbox.carrier.call_request import DetectionRequest
from outdial_sandbox.carrier.machine_detection import Verdict
from outdial_sandbox.carrier.pacer import Pacer
from outdial_sandbox.carrier.playback import AudioSource, Prompt, StreamBuffer
from outdial_sandbox.carrier.recording import Recording
from outdial_sandbox.people.behaviour import Frame, Person

# When the verdict comes, as a share of the call: a machine plays its greeting first.
_HUMAN_AT, _MACHINE_AT = 0.2, 0.5


class QuietLine:
    """Hangs up `talk_seconds` after the answer; detection is told from the kind of person."""

    quiet = True

    def __init__(
        self, person: Person, talk_seconds: float, on_hang_up: Callable[[bool], None]
    ) -> None:
        self._person = person
        self._talk_seconds = talk_seconds
        self._on_hang_up = on_hang_up
        self._timers: list[asyncio.TimerHandle] = []
        self._recordings: list[Recording] = []
        self._unheard_end: Callable[[], None] | None = None

    def start(self, _pacer: Pacer) -> None:
        """The call was answered."""
        self._after(self._talk_seconds, lambda: self._on_hang_up(False))

    def play(self, source: AudioSource) -> None:
        """Whatever it is, it was played."""
        if isinstance(source, Prompt):
            source.finished.set()
        elif isinstance(source, StreamBuffer):
            source.skip()

    def listen(self, _listener: Callable[[Frame], None]) -> None:
        """There is nothing to hear."""

    def release(self, _source: AudioSource) -> None:
        """Nothing was taken."""

    def record(self, recording: Recording) -> None:
        """Without audio, the recording will be absent; no file is made."""
        self._recordings.append(recording)

    def detect(self, request: DetectionRequest, told: Callable[[Verdict, float], None]) -> None:
        """Give the verdict that the person's kind is known for, after a part of the call."""
        verdict = scripted_verdict(self._person, message_end=request.message_end)
        machine = verdict.startswith("machine")
        seconds = self._talk_seconds * (_MACHINE_AT if machine else _HUMAN_AT)

        def tell() -> None:
            self._unheard_end = None
            told(verdict, seconds)

        self._after(seconds, tell)
        if machine and request.message_end:
            self._unheard_end = lambda: told("machine_end_other", seconds)

    def end(self) -> None:
        """The call is over."""
        for timer in self._timers:
            timer.cancel()
        if self._unheard_end is not None:
            self._unheard_end()
        for recording in self._recordings:
            recording.status = "absent"

    def _after(self, seconds: float, do: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, do))


def scripted_verdict(person: Person, *, message_end: bool) -> Verdict:
    """What machine detection says of `person` when there is nothing to hear."""
    match person.answer.kind:
        case "fax":
            return "fax"
        case "machine" if not message_end:
            return "machine_start"
        case "machine":
            records = getattr(person, "records", True)  # one that is full beeps no more
            return "machine_end_beep" if records else "machine_end_other"
        case _:
            return "unknown" if person.key == "silent" else "human"

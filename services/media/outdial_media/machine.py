"""A machine answered: wait until it has finished, say the script, and know that it was recorded.

Nobody says anything meanwhile: from the moment it is known until the script, the agent is mute.
"""

import asyncio
from collections.abc import Awaitable, Callable

from pipecat.audio.vad.vad_analyzer import VADState

from outdial_media.twilio_frames import SAMPLE_RATE
from outdial_media.voice_activity import SharedSilero

SILENCE_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_ASK_EVERY = 5  # looks


class SilenceWatch:
    """How long the line has been silent since somebody (or something) spoke."""

    def __init__(self, detector: SharedSilero, *, has_spoken: bool) -> None:
        self._detector = detector
        self._detector.set_sample_rate(SAMPLE_RATE)
        self._has_spoken = has_spoken
        self._silent_samples = 0

    def hear(self, pcm: bytes) -> None:
        """20 ms of the line."""
        if self._detector.analyze(pcm) is VADState.SPEAKING:
            self._has_spoken = True
            self._silent_samples = 0
        else:
            self._silent_samples += len(pcm) // 2

    @property
    def seconds(self) -> float:
        """Zero until something was spoken."""
        return self._silent_samples / SAMPLE_RATE if self._has_spoken else 0.0


async def wait_for_its_end(
    watch: SilenceWatch, verdict: Callable[[], Awaitable[str | None]]
) -> None:
    """Return when the machine's announcement is over: by verdict, by silence, or by patience."""
    looks = round(LONGEST_WAIT_SECONDS / _LOOK_SECONDS)
    for look in range(looks):
        if look % _ASK_EVERY == 0 and (await verdict() or "").startswith("machine_end"):
            return
        if watch.seconds >= SILENCE_SECONDS:
            return
        await asyncio.sleep(_LOOK_SECONDS)

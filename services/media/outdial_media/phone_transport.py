"""Where the person's words enter the pipeline (pipecat 1.14), and what both ends share.

Pipecat's own FastAPI transport needs a socket when it is built, does not hear marks, and hops
through a queue for every 20 ms of sound. Ours (`phone_output.py` is the other end) are built
before the phone rings.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from pipecat.frames.frames import (
    CancelFrame,
    ControlFrame,
    EndFrame,
    StartFrame,
)
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_transport import TransportParams

from outdial_media.telephone_line import TelephoneLine
from outdial_media.twilio_frames import SAMPLE_RATE

PARAMS = TransportParams(
    audio_in_enabled=True,
    audio_out_enabled=True,
    audio_in_sample_rate=SAMPLE_RATE,
    audio_out_sample_rate=SAMPLE_RATE,
    audio_out_10ms_chunks=4,
    audio_out_end_silence_secs=0,  # it would hold every ended call for two seconds
)


@dataclass
class MarkFrame(ControlFrame):
    """Resolves `played` when all sound queued before it was heard (or never will be)."""

    played: asyncio.Future[bool] = field(default_factory=asyncio.Future)
    interruptible: bool = field(default=False, init=False)


@dataclass
class FillerFrame(ControlFrame):
    """Sound (16-bit PCM) that covers a wait: it is heard, and is no turn of the agent's."""

    pcm: bytes = b""


class PhoneInput(BaseInputTransport):
    """What the person says comes in here, and is handed to `listeners`, 20 ms at a time."""

    def __init__(self, line: TelephoneLine) -> None:
        super().__init__(PARAMS)
        self._line = line
        self._open = False
        self.listeners: Sequence[Callable[[bytes], Awaitable[None]]] = ()
        self.tap: Callable[[bytes], None] | None = None
        """Sees every sound before the pipeline does."""

    async def start(self, frame: StartFrame) -> None:
        """Begin to hear; what came early comes first."""
        await super().start(frame)
        self._open = True
        await self._line.listen(self._hear)

    async def stop(self, frame: EndFrame) -> None:
        """Hear nothing more."""
        self._open = False
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """Hear nothing more."""
        self._open = False
        await super().cancel(frame)

    async def _hear(self, pcm: bytes) -> None:
        if not self._open:
            return
        if self.tap is not None:
            self.tap(pcm)
        for hear in self.listeners:
            await hear(pcm)

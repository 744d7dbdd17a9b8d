"""Sound on its way to the person: sent a little ahead of its playing, held, taken up again."""

import asyncio
import time

from outdial_media.playback import Playback
from outdial_media.telephone_line import TelephoneLine
from outdial_media.twilio_frames import SAMPLE_RATE

_STEP_SECONDS = 0.04


class PacedSound:
    """The one way by which sound gets on the line.

    While it is held, what the carrier had not played is kept here, and whoever brings more waits.
    """

    def __init__(self, line: TelephoneLine) -> None:
        self._line = line
        self._playback = Playback()
        self._free = asyncio.Event()
        self._free.set()
        self._held = b""
        self._said_again = 0.0
        self._marks: list[asyncio.Future[bool]] = []
        self.cuts = 0
        """How often all that was to come was taken back for good."""

    @property
    def is_held(self) -> bool:
        """Whether nothing is sent at the moment."""
        return not self._free.is_set()

    def ends_at(self, now: float) -> float:
        """When all that was sent will have been played."""
        return self._playback.ends_at(now)

    async def may_go(self, *, interruptible: bool = True) -> bool:
        """Wait while sound is held; False if what waited is not wanted any more."""
        if self._free.is_set():
            return True
        cuts = self.cuts
        await self._free.wait()
        return cuts == self.cuts or not interruptible

    async def send(self, pcm: bytes) -> bool:
        """Send 16-bit PCM now; False if the line is not open."""
        # Counted before it goes: a hold that comes in between takes it back, too.
        self._playback.sent(pcm, time.monotonic())
        return await self._line.send_sound(pcm)

    async def pace(self) -> float:
        """Wait until more may be sent; how late that was."""
        began = time.monotonic()
        first = self._playback.wait(began)
        cuts, wait = self.cuts, first
        while wait > 0 and cuts == self.cuts:
            await asyncio.sleep(min(wait, _STEP_SECONDS))
            wait = self._playback.wait(time.monotonic())
        return max(0.0, time.monotonic() - began - first) if first <= _STEP_SECONDS else 0.0

    async def mark(self, played: asyncio.Future[bool]) -> None:
        """Resolve `played` when what was sent so far has been heard, or never will be."""
        if await self.may_go(interruptible=False):
            await self._line.mark(played)

    async def hold(self) -> None:
        """Let nothing more be heard, from now on."""
        if self.is_held:
            return
        self._free.clear()
        self._held, self._said_again = self._playback.take_back(time.monotonic())
        self._marks = await self._line.take_back()

    async def go_on(self, *, from_pause: bool = True) -> float:
        """Let it be heard from a pause before the place that it had come to; seconds said again.

        Without `from_pause` from that very place: it was held so shortly that no word is lost.
        """
        if not self.is_held:
            return 0.0
        pcm, marks, again = self._held, self._marks, self._said_again
        if not from_pause:
            pcm, again = pcm[2 * round(again * SAMPLE_RATE) :], 0.0
        self._held, self._marks = b"", []
        cuts = self.cuts
        if pcm:
            await self.send(pcm)
        for mark in marks:
            await self._line.mark(mark)
        if cuts == self.cuts:
            self._free.set()
        return again

    async def clear(self) -> None:
        """Take back what was not played, for good."""
        self.cuts += 1
        self._playback.cleared()
        marks, self._marks, self._held = self._marks, [], b""
        await self._line.clear()
        self._free.set()
        for mark in marks:
            if not mark.done():
                mark.set_result(False)

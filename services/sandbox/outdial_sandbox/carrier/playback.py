"""What is played to the person called: a prompt, or what a media stream has sent."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from outdial_sandbox.carrier import mulaw
from outdial_sandbox.people.behaviour import FRAME_SAMPLES, Frame

MOST_BUFFERED_BYTES = 600 * 8000  # Twilio keeps ten minutes (error 31931)


class AudioSource(Protocol):
    """Something that has audio for the line."""

    def pull(self) -> Frame | None:
        """The next 20 ms, or None for silence."""
        ...


class Prompt:
    """Samples played once, from beginning to end."""

    def __init__(self, samples: Frame) -> None:
        self._samples = samples
        self._at = 0
        self.finished = asyncio.Event()

    def pull(self) -> Frame | None:
        """The next 20 ms; the last one is filled up with silence."""
        piece = self._samples[self._at : self._at + FRAME_SAMPLES]
        self._at += FRAME_SAMPLES
        if not len(piece):
            self.finished.set()
            return None
        if len(piece) < FRAME_SAMPLES:
            return np.concatenate([piece, np.zeros(FRAME_SAMPLES - len(piece), np.int16)])
        return piece


class StreamBuffer:
    """Twilio's buffer of a media stream: audio in order, with marks between.

    `on_mark` is told a mark's name once all audio before it has been played. `clear` empties the
    buffer and tells all marks that wait, played or not.
    """

    def __init__(self, on_mark: Callable[[str], None]) -> None:
        self._on_mark = on_mark
        self._items: deque[bytearray | str] = deque()
        self._passed: list[str] = []  # marks whose audio is on the line in this very frame
        self._bytes = 0
        self._skipping = False

    def skip(self) -> None:
        """Nobody will pull: from now on audio counts as played when it comes."""
        self._skipping = True

    def add_audio(self, data: bytes) -> bool:
        """Append mu-law audio of any length. False if the buffer is full: it is dropped."""
        if self._bytes + len(data) > MOST_BUFFERED_BYTES:
            return False
        if data and not self._skipping:
            self._items.append(bytearray(data))
            self._bytes += len(data)
        return True

    def add_mark(self, name: str) -> None:
        """Append a mark."""
        if self._skipping:
            self._on_mark(name)
        else:
            self._items.append(name)

    def clear(self) -> None:
        """Drop all audio and tell every mark at once."""
        self._passed += [item for item in self._items if isinstance(item, str)]
        self._items.clear()
        self._bytes = 0
        self._tell()

    def pull(self) -> Frame | None:
        """The next 20 ms. A mark is told in the frame after the audio before it."""
        self._tell()
        frame = bytearray()
        while self._items and len(frame) < FRAME_SAMPLES:
            head = self._items[0]
            if isinstance(head, str):
                self._passed.append(head)
                self._items.popleft()
                if not frame:
                    self._tell()  # all audio before it was played in earlier frames
                continue
            wanted = FRAME_SAMPLES - len(frame)
            frame += head[:wanted]
            del head[:wanted]
            if not head:
                self._items.popleft()
        self._bytes -= len(frame)
        if not frame:
            return None
        return mulaw.decode(frame.ljust(FRAME_SAMPLES, bytes([mulaw.SILENCE])))

    def _tell(self) -> None:
        passed, self._passed = self._passed, []
        for name in passed:
            self._on_mark(name)

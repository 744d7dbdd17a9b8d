"""The recogniser's own process: pocketsphinx holds the GIL, and nobody else may wait for it."""

import asyncio
import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np

from outdial_sandbox.providers.endpointing import Piece
from outdial_sandbox.providers.recognition import NOTHING, Heard, Recogniser

_recogniser: Recogniser | None = None


class RecognitionProcess:
    """One worker process, replaced if it dies. Requests are served in the order they came."""

    def __init__(self) -> None:
        self._pool = _new_pool()

    async def warm_up(self) -> None:
        """Load the model now, so that the first words do not wait for it."""
        await asyncio.wrap_future(self._pool.submit(_recognise, b"", 16000, 0.0))

    async def recognise(self, piece: Piece, sample_rate: int) -> Heard:
        """What was said in the piece."""
        for _ in range(2):
            try:
                return await asyncio.wrap_future(
                    self._pool.submit(_recognise, piece.samples.tobytes(), sample_rate, piece.floor)
                )
            except BrokenProcessPool:
                self._pool = _new_pool()
        return NOTHING

    def close(self) -> None:
        """End the worker."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _new_pool() -> ProcessPoolExecutor:
    # Not fork: the parent has threads (espeak, uvicorn).
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _start)


def _start() -> None:
    global _recogniser
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _recogniser = Recogniser()


def _die_with_parent() -> None:
    # A worker waits on a pipe that it holds both ends of: a killed parent would leave it for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _recognise(samples: bytes, sample_rate: int, floor: float) -> Heard:
    if _recogniser is None or not samples:
        return NOTHING
    return _recogniser.recognise(np.frombuffer(samples, np.int16), sample_rate, floor)

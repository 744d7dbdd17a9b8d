"""Row ids that sort by the moment they were made (UUID version 7, RFC 9562 method 3).

A million imported leads then append to the end of every index instead of landing all over it, and
leads due at the same moment are called in the order of their file.
"""

import os
import struct
import threading
import time
import uuid

_lock = threading.Lock()
_last = 0  # 48 bits of milliseconds, 12 of their fraction
_drawn: list[int] = []  # from the system, some at a time: each drawing is a call into the kernel
_DRAW = 256

# A child of a fork draws its own: two processes must never make the same id.
os.register_at_fork(after_in_child=_drawn.clear)


def new_id() -> uuid.UUID:
    """An id greater than every one this process made before."""
    global _last
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    with _lock:
        _last = max(_last + 1, milliseconds << 12 | (nanoseconds << 12) // 1_000_000)
        ticks = _last
        if not _drawn:
            _drawn.extend(struct.unpack(f"{_DRAW}Q", os.urandom(8 * _DRAW)))
        random = _drawn.pop() & (1 << 62) - 1
    return uuid.UUID(int=(ticks >> 12) << 80 | 7 << 76 | (ticks & 0xFFF) << 64 | 2 << 62 | random)

"""The processor for a moment at a time, and soon: how Linux is asked for it."""

import ctypes
import os
import platform
import struct
import sys

SLICE_SECONDS = 0.0001  # the least that Linux gives

_SYSCALL_NUMBERS = {"x86_64": 314, "aarch64": 274}  # of sched_setattr(2)
_ATTRIBUTES = "IIQiIQQQ"  # size, policy, flags, nice, priority, runtime, deadline, period
_SCHED_OTHER = 0


def ask_for_short_slices() -> bool:
    """Have this thread, and those it starts, run by short slices; False if Linux cannot.

    A thread that has the core keeps it for its slice, which is no less than a tick where it is not
    asked for otherwise: 4 ms in which a loop that is woken hears nothing, while a turn is judged,
    however nice the judging thread is, or a call misses its moment to leave. Nobody gets more of
    the processor by it, and it needs no right. Linux before 6.12 takes no notice, and a sandbox may
    refuse.
    """
    number = _SYSCALL_NUMBERS.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return False
    attributes = struct.pack(
        _ATTRIBUTES,
        struct.calcsize(_ATTRIBUTES),
        _SCHED_OTHER,
        0,
        os.getpriority(os.PRIO_PROCESS, 0),  # as nice as it is
        0,
        round(SLICE_SECONDS * 1e9),
        0,
        0,
    )
    answer: int = ctypes.CDLL(None).syscall(number, 0, attributes, 0)
    return answer == 0

"""Threads beside an event loop, which must not keep Python from it for long."""

import sys

_SWITCH_SECONDS = 0.0005


def switch_threads_often() -> None:
    """Let a thread keep Python for half a millisecond while another waits for it.

    By default it is 5 ms, and an event loop waits for it after each look at a socket: a telephone
    call while a thread reads a million leads, or judges another call's turn; and a thread with a
    call to send, while the loop computes.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)

"""Measuring processes go before all others: what they say of others is not their own waiting."""

import os
from contextlib import suppress

WATCHING, MEASURING = 2, 1
"""Who watches the machine goes before who measures a process on it."""


def let_go_first(pid: int, priority: int = MEASURING) -> bool:
    """Whether a process's main thread (0: the caller's) may; what it starts does not."""
    with suppress(PermissionError):
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(pid, policy, os.sched_param(priority))
        return True
    return False

"""How far ahead of the pace attempts are claimed and handed out."""

import math

from outdial.settings import Settings

SECONDS_AHEAD = 2
SECONDS_ASKING = 5
"""So slow may lookups be without slowing the pace: those asked count in hand only beyond that."""

MOST_PLACED_TOGETHER = 32
"""Fewer POSTs than the carrier's client sends at once: none waits behind another."""


def attempts_ahead(settings: Settings) -> int:
    """How many attempts may be queued: two seconds' worth of dial tokens, and at least one."""
    return max(1, math.ceil(SECONDS_AHEAD * settings.calls_per_second))


def chunk_size(settings: Settings) -> int:
    """How many attempts one task places at once: a second's worth."""
    return min(MOST_PLACED_TOGETHER, max(1, math.ceil(settings.calls_per_second)))


def lookups_ahead(settings: Settings) -> int:
    """How many attempts may wait for their lookup beside those that are queued."""
    return math.ceil(SECONDS_ASKING * settings.calls_per_second)

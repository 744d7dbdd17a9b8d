"""How room for calls is shared between campaigns that all want some."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Wish:
    """How many calls a campaign has, and how many more it may have."""

    live: int
    room: int


def fair_shares(room: int, wishes: Mapping[Key, Wish]) -> dict[Key, int]:
    """Give room one call at a time to whoever then has the fewest; ties go in the order given.

    No campaign starves, however large the others are; what one may not take goes to the rest.
    """
    shares = dict.fromkeys(wishes, 0)
    for _ in range(room):
        open_wishes = [key for key, wish in wishes.items() if shares[key] < wish.room]
        if not open_wishes:
            break
        poorest = min(open_wishes, key=lambda key: wishes[key].live + shares[key])
        shares[poorest] += 1
    return shares

"""Who is killed or frozen when, drawn from a seed; and the hand that does it."""

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from parts.house import House

KINDS = ("api", "worker", "beat", "media", "redis", "postgres")

Way = Literal["kill", "kill_child", "kill_and_empty", "freeze"]


@dataclass(frozen=True)
class Blow:
    """At `at` seconds something befalls a process of `kind`; after `lasts` more it is as before."""

    at: float
    kind: str
    way: Way
    lasts: float
    draw: int  # which of them


def draw_blows(seed: int, kills: int, *, every: float, longest_freeze: float) -> list[Blow]:
    """`kills` kills, each kind as often as the others, and a freeze for every fourth of them."""
    rng = random.Random(seed)
    rounds = -(-kills // len(KINDS))
    kinds = [kind for _ in range(rounds) for kind in rng.sample(KINDS, len(KINDS))][:kills]
    blows: list[Blow] = []
    at = 0.0
    for number, kind in enumerate(kinds):
        at += every * rng.uniform(0.4, 1.6)
        way: Way = "kill"
        if kind == "worker" and rng.random() < 0.4:
            way = "kill_child"
        elif kind == "redis" and rng.random() < 0.5:
            way = "kill_and_empty"
        lasts = rng.choice((0.0, rng.uniform(0, 2), rng.uniform(1, 8)))
        blows.append(Blow(at, kind, way, lasts, rng.randrange(1 << 16)))
        if number % 4 == 3:
            at += every * rng.uniform(0.4, 1.2)
            short, long = rng.uniform(0.5, 6), rng.uniform(longest_freeze / 2, longest_freeze)
            lasts = long if rng.random() < 0.3 else min(short, longest_freeze)
            blows.append(Blow(at, rng.choice(KINDS), "freeze", lasts, rng.randrange(1 << 16)))
    return blows


class Killer:
    """Deals the blows when they are due, and undoes them. Call `act` often, in the main thread."""

    def __init__(self, house: House, blows: list[Blow], say: Callable[[str], None]) -> None:
        self._house = house
        self._say = say
        self._due: list[tuple[float, int, Blow]] = [(b.at, n, b) for n, b in enumerate(blows)]
        heapq.heapify(self._due)
        self._undo: list[tuple[float, str, Blow]] = []
        self.kills: Counter[str] = Counter()
        self.stops: Counter[str] = Counter()
        self.gave_up: Counter[str] = Counter()  # nobody had killed them

    @property
    def left(self) -> int:
        """Blows not yet dealt."""
        return len(self._due)

    @property
    def over(self) -> bool:
        """Whether all is dealt and undone."""
        return not self._due and not self._undo

    def is_up(self, name: str) -> bool:
        """Whether nothing has been done to it, as far as we know."""
        return all(name != down for _, down, _ in self._undo)

    def act(self, now: float) -> None:
        """Do what is due `now`, in seconds since the start."""
        while self._undo and self._undo[0][0] <= now:
            _, name, blow = heapq.heappop(self._undo)
            self._restore(name, blow)
        while self._due and self._due[0][0] <= now:
            _, number, blow = heapq.heappop(self._due)
            up = [name for name in self._house.members(blow.kind) if self.is_up(name)]
            if not up:  # it is down already: a little later
                heapq.heappush(self._due, (now + 1.0, number, blow))
                break
            self._strike(up[blow.draw % len(up)], blow, number, now)

    def end(self) -> None:
        """No more blows; what is down is brought back."""
        self._due.clear()
        while self._undo:
            _, name, blow = heapq.heappop(self._undo)
            self._restore(name, blow)

    def mend(self) -> None:
        """Start again what has ended by itself, as a supervisor does; it is held against it."""
        for name in filter(self.is_up, self._house.ended()):
            self._say(f"  {name} has ended by itself")
            self.gave_up[name] += 1
            self._house.start_again(name)

    def _strike(self, name: str, blow: Blow, number: int, now: float) -> None:
        self._say(f"  {blow.way} {name}, for {blow.lasts:.1f} s")
        if blow.way == "freeze":
            self._house.freeze(name)
            self.stops[blow.kind] += 1
        elif blow.way == "kill_child":
            self._house.kill_one_child(name, blow.draw)
            self.kills[blow.kind] += 1
            return  # its parent forks another
        else:
            self._house.kill_now(name)
            self.kills[blow.kind] += 1
        heapq.heappush(self._undo, (now + blow.lasts, name, blow))

    def _restore(self, name: str, blow: Blow) -> None:
        if blow.way == "freeze":
            self._house.thaw(name)
        else:
            self._house.start_again(name, empty=blow.way == "kill_and_empty")

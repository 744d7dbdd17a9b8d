"""What goes wrong on purpose, and when. Pure: a setting, a seed and names in, a decision out.

Every decision is a function of the seed and of names that are the same in each run (the number
called and the how-manieth POST to it, never a SID or a clock), so that a run can be repeated.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

PostFault = Literal[
    "post_429", "post_10004", "post_500", "post_500_placed", "post_dropped", "post_slow"
]
StreamFault = Literal["stream_refused", "stream_cut", "stream_half_open", "stream_slow"]

_POST_FAULTS: tuple[PostFault, ...] = get_args(PostFault)
_STREAM_FAULTS: tuple[StreamFault, ...] = get_args(StreamFault)
_LONGEST = 3600.0


@dataclass(frozen=True)
class Faults:
    """The share of cases (0 to 1) that each fault befalls, and how long it takes in seconds.

    A POST, and a stream, has at most one fault: their shares are cut from one whole. What befalls
    a callback is drawn apart, so that one may be doubled and its second copy late.
    """

    callback_lost: float = 0.0
    callback_doubled: float = 0.0
    callback_delayed: float = 0.0
    callback_reordered: float = 0.0
    post_429: float = 0.0
    post_10004: float = 0.0
    post_500: float = 0.0  # nothing was placed
    post_500_placed: float = 0.0  # the call was placed
    post_dropped: float = 0.0  # placed, and the connection closed without an answer
    post_slow: float = 0.0  # placed, and answered late
    stream_refused: float = 0.0
    stream_cut: float = 0.0
    stream_half_open: float = 0.0  # the socket stays, and nothing comes through it any more
    stream_slow: float = 0.0  # slow to open
    action_doubled: float = 0.0
    callback_delay_seconds: float = 30.0  # delays are drawn from 0 to this; so are the others'
    post_slow_seconds: float = 12.0
    stream_cut_seconds: float = 5.0
    stream_half_open_seconds: float = 5.0
    stream_slow_seconds: float = 5.0

    def changed(self, values: Mapping[str, Any]) -> "Faults":
        """These faults with `values` put in. Raises ValueError naming what does not fit."""
        known = [item.name for item in fields(self)]
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(
                f"unknown faults: {', '.join(unknown)}; known: {', '.join(sorted(known))}"
            )
        new = replace(self, **{name: _checked(name, value) for name, value in values.items()})
        for names in (_POST_FAULTS, _STREAM_FAULTS):
            if (whole := sum(getattr(new, name) for name in names)) > 1 + 1e-9:
                raise ValueError(f"{' + '.join(names)} may be 1 in all, not {whole:g}")
        return new


@dataclass(frozen=True)
class CallbackFate:
    """What befalls one callback. `delays` has the seconds to wait before each copy."""

    delays: tuple[float, ...] = (0.0,)
    reordered: bool = False  # the callback after it is sent first

    @property
    def lost(self) -> bool:
        """It is never sent."""
        return not self.delays


@dataclass(frozen=True)
class StreamFate:
    """What befalls one stream, `seconds` after it opened (or before it opens)."""

    fault: StreamFault
    seconds: float


def chance(seed: int, *names: object) -> float:
    """A number from 0 to 1 (never 1) that belongs to these names: the same each time."""
    text = "\0".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest()) / 2**56


def between(low: float, high: float, seed: int, *names: object) -> float:
    """A number from `low` to `high` that belongs to these names."""
    return low + (high - low) * chance(seed, *names)


def post_fault(faults: Faults, seed: int, call: str) -> PostFault | None:
    """What befalls the POST of `call`."""
    found: PostFault | None = _one_of(faults, _POST_FAULTS, chance(seed, "post", call))
    return found


def callback_fate(faults: Faults, seed: int, *names: object) -> CallbackFate:
    """What befalls a callback; `names` are its call, its purpose and its number."""

    def befalls(fault: str, *more: object) -> bool:
        share: float = getattr(faults, fault)
        return chance(seed, fault, *names, *more) < share

    if befalls("callback_lost"):
        return CallbackFate(delays=())
    longest = faults.callback_delay_seconds
    delays = [
        between(0.0, longest, seed, "delay", *names, copy)
        if befalls("callback_delayed", copy)
        else 0.0
        for copy in range(2 if befalls("callback_doubled") else 1)
    ]
    return CallbackFate(tuple(delays), befalls("callback_reordered"))


def stream_fate(faults: Faults, seed: int, call: str, number: int) -> StreamFate | None:
    """What befalls the `number`-th stream of `call`."""
    names = ("stream", call, number)
    fault = _one_of(faults, _STREAM_FAULTS, chance(seed, *names))
    if fault is None or fault == "stream_refused":
        return fault and StreamFate(fault, 0.0)
    return StreamFate(fault, between(0.0, getattr(faults, f"{fault}_seconds"), seed, *names, "at"))


def action_is_doubled(faults: Faults, seed: int, call: str, number: int) -> bool:
    """Whether the `number`-th `action` of `call` is posted twice."""
    return chance(seed, "action_doubled", call, number) < faults.action_doubled


def action_answer_is_lost(seed: int, call: str, number: int) -> bool:
    """Of a doubled `action`: whether it is the first post whose answer nobody reads."""
    return chance(seed, "action_answer", call, number) < 0.5


def _one_of(faults: Faults, names: tuple[Any, ...], drawn: float) -> Any:
    for name in names:
        drawn -= getattr(faults, name)
        if drawn < 0:
            return name
    return None


def _checked(name: str, value: Any) -> float:
    high = _LONGEST if name.endswith("_seconds") else 1.0
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if not known or not 0 <= value <= high:
        raise ValueError(f"faults.{name} is a number from 0 to {high:g}, not {value!r}")
    return float(value)

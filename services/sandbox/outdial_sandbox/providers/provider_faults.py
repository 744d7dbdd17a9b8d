"""What goes wrong with the providers on purpose. Pure: shares, a seed and names in, a fault out.

The how-manieth request of a door a key makes is its name, so that a run can be repeated. A test
that wants one fault now asks for it by number: the `next` two answers of the model fail.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, cast, get_args

from outdial_sandbox.carrier.faults import chance

ListenHandshakeFault = Literal["listen_refused", "listen_429", "listen_500", "listen_stalled"]
ListenFault = Literal["listen_hang", "listen_slow", "listen_cut"]
SpeakHandshakeFault = Literal["speak_refused", "speak_429", "speak_500", "speak_stalled"]
SpeakFault = Literal["speak_hang", "speak_slow", "speak_cut"]
ModelFault = Literal[
    "model_refused",
    "model_429",
    "model_500",
    "model_slow",
    "model_hang",
    "model_hang_in_stream",
    "model_cut",
]
ModelToolFault = Literal["model_tool_use_failed", "model_bad_arguments"]

_DOORS: tuple[tuple[str, ...], ...] = tuple(
    get_args(door)
    for door in (
        ListenHandshakeFault,
        ListenFault,
        SpeakHandshakeFault,
        SpeakFault,
        ModelFault,
        ModelToolFault,
    )
)
KINDS: tuple[str, ...] = tuple(kind for door in _DOORS for kind in door)
_LONGEST = 3600.0
_MOST = 1_000_000


@dataclass(frozen=True)
class ProviderFaults:
    """The share of cases (0 to 1) that each fault befalls, and how long it takes in seconds.

    One thing befalls a request at most: the shares of a door are cut from one whole.
    """

    listen_refused: float = 0.0  # the connection is closed before the handshake is answered
    listen_429: float = 0.0
    listen_500: float = 0.0
    listen_stalled: float = 0.0  # the handshake is never answered
    listen_hang: float = 0.0  # from an utterance on, the socket answers nothing more
    listen_slow: float = 0.0  # an utterance's results are late
    listen_cut: float = 0.0  # the connection is reset as an utterance begins
    speak_refused: float = 0.0
    speak_429: float = 0.0
    speak_500: float = 0.0
    speak_stalled: float = 0.0
    speak_hang: float = 0.0  # from a reply on, the socket answers nothing more
    speak_slow: float = 0.0  # a reply's first audio is late
    speak_cut: float = 0.0  # the audio stops in the middle, and the connection is reset
    model_refused: float = 0.0
    model_429: float = 0.0  # with Retry-After
    model_500: float = 0.0
    model_slow: float = 0.0  # the first token is late
    model_hang: float = 0.0  # no answer at all
    model_hang_in_stream: float = 0.0  # the stream begins, and stops in the middle for ever
    model_cut: float = 0.0  # the stream begins, and its connection is reset
    model_tool_use_failed: float = 0.0  # of answers that call a tool: Groq's 400
    model_bad_arguments: float = 0.0  # of those: the arguments are no JSON
    listen_slow_seconds: float = 2.0
    speak_slow_seconds: float = 3.0
    model_slow_seconds: float = 4.0
    model_retry_after_seconds: float = 2.0

    def changed(self, values: Mapping[str, Any]) -> "ProviderFaults":
        """These faults with `values` put in. Raises ValueError naming what does not fit."""
        known = [item.name for item in fields(self)]
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(
                f"unknown faults: {', '.join(unknown)}; known: {', '.join(sorted(known))}"
            )
        new = replace(self, **{name: _share(name, value) for name, value in values.items()})
        for door in _DOORS:
            if (whole := sum(getattr(new, kind) for kind in door)) > 1 + 1e-9:
                raise ValueError(f"{' + '.join(door)} may be 1 in all, not {whole:g}")
        return new


@dataclass
class FaultDesk:
    """Decides what befalls each request of one key, and counts what did."""

    seed: int = 0
    faults: ProviderFaults = field(default_factory=ProviderFaults)
    next: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    _asked: Counter[str] = field(default_factory=Counter)

    def listen_handshake(self) -> ListenHandshakeFault | None:
        """What befalls a listen socket as it opens."""
        return cast("ListenHandshakeFault | None", self._one_of(get_args(ListenHandshakeFault)))

    def utterance(self) -> ListenFault | None:
        """What befalls something that is said to an open listen socket."""
        return cast("ListenFault | None", self._one_of(get_args(ListenFault)))

    def speak_handshake(self) -> SpeakHandshakeFault | None:
        """What befalls a speak socket as it opens, and a POST of text."""
        return cast("SpeakHandshakeFault | None", self._one_of(get_args(SpeakHandshakeFault)))

    def spoken_reply(self) -> SpeakFault | None:
        """What befalls a reply on an open speak socket, or the audio of a POST."""
        return cast("SpeakFault | None", self._one_of(get_args(SpeakFault)))

    def completion(self, *, calls_tool: bool) -> ModelFault | ModelToolFault | None:
        """What befalls an answer of the model."""
        found = self._one_of(get_args(ModelToolFault)) if calls_tool else None
        found = found or self._one_of(get_args(ModelFault))
        return cast("ModelFault | ModelToolFault | None", found)

    def change(self, values: Mapping[str, Any]) -> None:
        """Follow `seed`, `faults` and `next`; all of them or, with a ValueError, none."""
        if unknown := sorted(set(values) - {"seed", "faults", "next"}):
            raise ValueError(f"unknown: {', '.join(unknown)}; known: faults, key, next, seed")
        seed = _whole("seed", values.get("seed", self.seed))
        faults = self.faults
        if "faults" in values:
            given = values["faults"]
            faults = ProviderFaults() if given is None else faults.changed(_object("faults", given))
        following = self.next
        if "next" in values:
            following = Counter(_following(values["next"]))
        self.seed, self.faults, self.next = seed, faults, following

    def described(self) -> dict[str, Any]:
        """As JSON: what is set, what is still to come by number, and what has befallen."""
        return {
            "seed": self.seed,
            "faults": asdict(self.faults),
            "next": dict(+self.next),
            "injected": dict(self.injected),
        }

    def _one_of(self, door: tuple[str, ...]) -> str | None:
        self._asked[door[0]] += 1
        found = next((kind for kind in door if self.next[kind] > 0), None)
        if found is not None:
            self.next[found] -= 1
        else:
            found = self._drawn(door, chance(self.seed, door[0], self._asked[door[0]]))
        if found is not None:
            self.injected[found] += 1
        return found

    def _drawn(self, door: tuple[str, ...], drawn: float) -> str | None:
        for kind in door:
            drawn -= getattr(self.faults, kind)
            if drawn < 0:
                return kind
        return None


Desk = Callable[[], FaultDesk]
"""The desk of a socket: asked each time, since its key may get one of its own meanwhile."""


class FaultDesks:
    """A desk for each API key that has one of its own, and one for everybody else."""

    def __init__(self) -> None:
        self._everybody = FaultDesk()
        self._of_key: dict[str, FaultDesk] = {}

    def of(self, authorization: str) -> FaultDesk:
        """The desk that a request's `Authorization` header leads to."""
        return self._of_key.get(authorization.partition(" ")[2].strip(), self._everybody)

    def change(self, values: Mapping[str, Any]) -> FaultDesk:
        """Change the desk of `values["key"]`, or everybody's. Raises ValueError."""
        values = dict(values)
        key = values.pop("key", None)
        if key is not None and not (isinstance(key, str) and key):
            raise ValueError("key is the API key whose requests are meant")
        desk = self._everybody if key is None else self._of_key.get(key, FaultDesk())
        desk.change(values)
        if key is not None:
            self._of_key[key] = desk
        return desk

    def described(self) -> dict[str, Any]:
        """Every desk as JSON."""
        keys = {key: desk.described() for key, desk in self._of_key.items()}
        return self._everybody.described() | {"keys": keys}


def _share(name: str, value: Any) -> float:
    high = _LONGEST if name.endswith("_seconds") else 1.0
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if not known or not 0 <= value <= high:
        raise ValueError(f"faults.{name} is a number from 0 to {high:g}, not {value!r}")
    return float(value)


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise ValueError(f"{name} is a whole number from 0 to {_MOST}, not {value!r}")
    return value


def _object(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is an object, not {value!r}")  # noqa: TRY004
    return value


def _following(value: Any) -> dict[str, int]:
    given = {} if value is None else _object("next", value)
    if unknown := sorted(set(given) - set(KINDS)):
        raise ValueError(f"unknown faults: {', '.join(unknown)}; known: {', '.join(KINDS)}")
    return {kind: _whole(f"next.{kind}", count) for kind, count in given.items()}

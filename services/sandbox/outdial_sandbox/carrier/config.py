"""What the carrier is told at its start, and what may be changed while it runs."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from outdial_sandbox.carrier.faults import Faults

# Twilio's own magic number comes first: https://www.twilio.com/docs/iam/test-credentials
OWNED_NUMBERS = ("+15005550006", "+12125550190", "+14155550191", "+12025550192")

_NORMAL_RING = 2.0  # seconds; people's ring times are given for it
_AFTER_REFUSAL = ("continue", "hangup", "action")
_LONGEST = 3600.0


@dataclass(frozen=True)
class CarrierConfig:
    """Fixed for the life of the process. `public_url` is where the carrier itself is reached."""

    account_sid: str
    auth_token: str
    data: Path
    public_url: str

    @property
    def recordings(self) -> Path:
        """The folder of the WAV files."""
        return self.data / "recordings"

    @property
    def account_path(self) -> str:
        """The path that every REST resource of the account begins with."""
        return f"/2010-04-01/Accounts/{self.account_sid}"


@dataclass(frozen=True)
class NetworkSettings:
    """How the network behaves; `POST /sandbox/settings` replaces single values."""

    calls_per_second: float = 1.0
    ring_seconds: float = _NORMAL_RING
    # No phone rings longer, whatever Timeout says: a run with thousands of calls does not wait.
    longest_ring_seconds: float | None = None
    numbers: tuple[str, ...] = field(default=OWNED_NUMBERS)
    # Without audio nobody speaks and no media passes; a call lasts a seeded part of talk_seconds.
    audio: bool = True
    talk_seconds: tuple[float, float] = (1.0, 3.0)
    # Twilio does not say whether `action` is posted when the call ended under the stream,
    # or when REST gave the call other TwiML.
    action_on_hangup: bool = False
    action_on_update: bool = False
    # What follows a refused stream is undocumented: the next verb, the end, or `action`.
    after_refused_stream: Literal["continue", "hangup", "action"] = "continue"
    seed: int = 1
    faults: Faults = field(default_factory=Faults)

    @property
    def longest_ring(self) -> float:
        """Seconds; infinite if nothing was set."""
        return float("inf") if self.longest_ring_seconds is None else self.longest_ring_seconds

    def ring_scale(self) -> float:
        """What people's ring times are multiplied with."""
        return self.ring_seconds / _NORMAL_RING

    def changed(self, values: Mapping[str, Any]) -> "NetworkSettings":
        """These settings with `values` put in. Raises ValueError naming what does not fit."""
        known = {item.name for item in fields(self)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        new = {
            name: _CHECKS[name](name, value) for name, value in values.items() if name in _CHECKS
        }
        if "faults" in values:
            new["faults"] = self._faults(values["faults"])
        return replace(self, **new)

    def _faults(self, values: Any) -> Faults:
        """The faults with `values` put in; null ends them all."""
        if values is None:
            return Faults()
        return self.faults.changed(_is(isinstance(values, Mapping), values, "faults is an object"))


def _is(fits: bool, value: Any, message: str) -> Any:
    if not fits:
        raise ValueError(message)
    return value


def _is_number(value: Any, low: float, high: float) -> bool:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and low <= value <= high


def _rate(name: str, value: Any) -> float:
    fits = _is_number(value, 0.0, 1e6) and value > 0
    return float(_is(fits, value, f"{name} is a number above 0, not {value!r}"))


def _seconds(name: str, value: Any) -> float:
    fits = _is_number(value, 0.0, _LONGEST)
    return float(_is(fits, value, f"{name} is a number from 0 to {_LONGEST:g}, not {value!r}"))


def _optional_seconds(name: str, value: Any) -> float | None:
    return None if value is None else _seconds(name, value)


def _range(name: str, value: Any) -> tuple[float, float]:
    fits = isinstance(value, list | tuple) and len(value) == 2
    fits = fits and all(_is_number(end, 0.0, _LONGEST) for end in value) and value[0] <= value[1]
    low, high = _is(fits, value, f"{name} is [least, most] in seconds, not {value!r}")
    return float(low), float(high)


def _numbers(name: str, value: Any) -> tuple[str, ...]:
    fits = isinstance(value, list | tuple) and all(
        isinstance(number, str) and re.fullmatch(r"\+[1-9]\d{7,14}", number) for number in value
    )
    return tuple(_is(fits, value, f"{name} is a list of E.164 numbers, such as +12125550190"))


def _flag(name: str, value: Any) -> bool:
    return bool(_is(isinstance(value, bool), value, f"{name} is true or false, not {value!r}"))


def _seed(name: str, value: Any) -> int:
    fits = isinstance(value, int) and not isinstance(value, bool)
    return int(_is(fits, value, f"{name} is a whole number, not {value!r}"))


def _after_refusal(name: str, value: Any) -> str:
    fits = value in _AFTER_REFUSAL
    return str(_is(fits, value, f"{name} is one of {', '.join(_AFTER_REFUSAL)}, not {value!r}"))


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "calls_per_second": _rate,
    "ring_seconds": _seconds,
    "longest_ring_seconds": _optional_seconds,
    "numbers": _numbers,
    "audio": _flag,
    "talk_seconds": _range,
    "action_on_hangup": _flag,
    "action_on_update": _flag,
    "after_refused_stream": _after_refusal,
    "seed": _seed,
}

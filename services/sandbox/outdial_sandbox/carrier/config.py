"""What the carrier is told at its start, and what may be changed while it runs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

# Twilio's own magic number comes first: https://www.twilio.com/docs/iam/test-credentials
OWNED_NUMBERS = ("+15005550006", "+12125550190", "+14155550191", "+12025550192")

_NORMAL_RING = 2.0  # seconds; people's ring times are given for it


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
    numbers: tuple[str, ...] = field(default=OWNED_NUMBERS)
    # Twilio does not say whether `action` is posted when the call ended under the stream.
    action_on_hangup: bool = False
    # What follows a refused stream is undocumented: go on with the next verb, or hang up.
    after_refused_stream: Literal["continue", "hangup"] = "continue"

    def ring_scale(self) -> float:
        """What people's ring times are multiplied with."""
        return self.ring_seconds / _NORMAL_RING

    def changed(self, values: Mapping[str, Any]) -> "NetworkSettings":
        """These settings with `values` put in. Raises ValueError naming what does not fit."""
        known = {item.name for item in fields(self)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        return replace(self, **{name: _checked(name, value) for name, value in values.items()})


def _checked(name: str, value: Any) -> Any:
    match name:
        case "calls_per_second":
            return _number(name, value, above=0)
        case "ring_seconds":
            return _number(name, value, above=-1e-9)
        case "numbers":
            return _numbers(value)
        case "action_on_hangup":
            return _is(isinstance(value, bool), value, f"{name} is true or false")
        case _:
            fits = value in ("continue", "hangup")
            return _is(fits, value, f"{name} is continue or hangup")


def _number(name: str, value: Any, *, above: float) -> float:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and value > above
    return float(_is(fits, value, f"{name} is a number, not {value!r}"))


def _numbers(value: Any) -> tuple[str, ...]:
    fits = isinstance(value, list | tuple) and all(
        isinstance(number, str) and re.fullmatch(r"\+[1-9]\d{7,14}", number) for number in value
    )
    return tuple(_is(fits, value, "numbers is a list of E.164 numbers, such as +12125550190"))


def _is(fits: bool, value: Any, message: str) -> Any:
    if not fits:
        raise ValueError(message)
    return value

"""SIDs and dates as Twilio writes them."""

import secrets
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256


def new_sid(prefix: str) -> str:
    """A SID of 34 characters: two letters (`CA`, `RE`, `MZ`) and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(16)


def sid_of(prefix: str, name: str) -> str:
    """A SID that is the same for the same `name` at each start."""
    return prefix + sha256(name.encode()).hexdigest()[:32]


def rfc2822(at: float | None) -> str | None:
    """Epoch seconds as `Fri, 18 Oct 2019 17:00:00 +0000`."""
    return None if at is None else format_datetime(datetime.fromtimestamp(at, UTC))


def iso8601(at: float) -> str:
    """Epoch seconds as `2019-10-18T17:00:00.123456Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def formatted(number: str) -> str:
    """`+13051416799` as `(305) 141-6799`; numbers outside North America stay E.164."""
    if number.startswith("+1") and len(number) == 12:
        return f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    return number

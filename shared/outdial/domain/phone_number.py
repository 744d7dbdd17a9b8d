"""Telephone numbers: E.164, and the time zones where one may ring.

The only file that imports `phonenumbers`.
"""

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import timezone as phone_zones
from phonenumbers.tzdata import TIMEZONE_DATA

from outdial.domain.errors import InvalidInput

# Digits and what people put between them. Letters are refused rather than dialed as keys: a cell
# that holds a remark is no number.
_WRITTEN = re.compile(r"(?:tel:)?\+?[\d\s().\-/·\u2010-\u2015]+")
_EXTENSION = re.compile(r"\d\s*(?:;ext=|,|x|#|ext(?:ension)?\.?)\s*\d{1,7}", re.IGNORECASE)
_UNKNOWN = "Etc/Unknown"
_NANP = "+1"


def parse_phone(text: str, region: str | None = None) -> str:
    """`text` in E.164, like `+12025550100`. `region` (`US`) reads a number without a country.

    Raises:
        InvalidInput: it is no number that could be called, and why.
    """
    if _EXTENSION.search(text):
        raise InvalidInput("has an extension, which a call cannot reach")
    try:
        number = phonenumbers.parse(text if _WRITTEN.fullmatch(text.strip()) else "", region)
    except phonenumbers.NumberParseException:
        raise InvalidInput(
            "is not a phone number: write it with its country, like +12025550100"
        ) from None
    if not phonenumbers.is_valid_number(number):
        raise InvalidInput("is not a number in use: a digit too few, too many or wrong")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=10_000)
def country_of(phone: str) -> str | None:
    """The country (ISO 3166, `US`) of an E.164 number; None if it belongs to none."""
    return phonenumbers.region_code_for_number(phonenumbers.parse(phone))


@lru_cache(maxsize=10_000)
def area_of(phone: str) -> str | None:
    """The area code of an E.164 number, with its country's code (`1202`); None if it has none."""
    if phone.startswith(_NANP):
        return phone[1:5]
    number = phonenumbers.parse(phone)
    length = phonenumbers.length_of_geographical_area_code(number)
    national = phonenumbers.national_significant_number(number)
    return f"{number.country_code}{national[:length]}" if length else None


def zones_of(phone: str, own_zone: str | None = None) -> tuple[str, ...]:
    """The time zones in which the phone may ring: `own_zone` if it is known, else every candidate.

    Empty when nobody can say. A North American number could be anywhere in its area code: the
    exchanges of 423 and 270 are wrong by hundreds in libphonenumber's data, so that only the whole
    area code can be trusted.
    """
    if own_zone is not None:
        return (own_zone,)
    if phone.startswith(_NANP):
        return _north_american_zones(phone[:8])
    return _known(phone_zones.time_zones_for_number(phonenumbers.parse(phone)))


@lru_cache(maxsize=100_000)
def _north_american_zones(exchange: str) -> tuple[str, ...]:
    """The data knows no more of a number than its exchange (`+1423555`)."""
    number = phonenumbers.parse(f"{exchange}0000")
    zones = set(phone_zones.time_zones_for_number(number))
    return _known(zones | _area_zones(exchange[1:5]))


def _known(zones: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({zone for zone in zones if zone != _UNKNOWN}))


@cache
def _area_zones(prefix: str) -> frozenset[str]:
    """Every zone of an area code (`1423`), over all of its exchanges."""
    return frozenset(
        zone for known, zones in TIMEZONE_DATA.items() if known.startswith(prefix) for zone in zones
    )


def is_zone(name: str) -> bool:
    """Whether this is an IANA time zone."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a path, a folder, a name that nobody knows
        return False
    return name != _UNKNOWN


def redact(phone: str) -> str:
    """A number for logs: `+12025550100` as `+1202•••0100`."""
    if len(phone) < 10:
        return "•••"
    return f"{phone[:5]}•••{phone[-4:]}"

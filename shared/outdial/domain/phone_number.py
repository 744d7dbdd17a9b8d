"""Telephone numbers: E.164, and the time zones where one may ring.

The only file that imports `phonenumbers`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import PhoneMetadata
from phonenumbers import timezone as phone_zones
from phonenumbers.tzdata import TIMEZONE_DATA

from outdial.domain.errors import InvalidInput

# Digits and what people put between them. Letters are refused rather than dialed as keys: a cell
# that holds a remark is no number.
_WRITTEN = re.compile(r"(?:tel:)?\+?[\d\s().\-/·\u2010-\u2015]+")
_EXTENSION = re.compile(r"\d\s*(?:;ext=|,|x|#|ext(?:ension)?\.?)\s*\d{1,7}", re.IGNORECASE)
_UNKNOWN = "Etc/Unknown"
_NANP = "+1"

# Written with its country, in digits and the separators that libphonenumber passes over.
_INTERNATIONAL = re.compile(r"\+[0-9 ().-]{6,40}")
_SEPARATORS = str.maketrans("", "", " ().-")
_COUNTRIES = {
    str(code): regions for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()
}
_TYPES = (
    "premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan",
    "voicemail", "fixed_line", "mobile",
)  # fmt: skip


def parse_phone(text: str, region: str | None = None) -> str:
    """`text` in E.164, like `+12025550100`. `region` (`US`) reads a number without a country.

    Raises:
        InvalidInput: it is no number that could be called, and why.
    """
    if (phone := _as_it_stands(text.strip())) is not None:
        return phone
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


def _as_it_stands(text: str) -> str | None:
    """The E.164 form of a number that is valid with the digits it is written in; None: ask further.

    The same answer as libphonenumber's, from the same patterns, compiled once a region instead of
    looked up a dozen times a number: an import of a million leads spent half of its time there.
    Only what is valid for certain is answered here; what is refused, and why, the library says.
    """
    if _INTERNATIONAL.fullmatch(text) is None:
        return None
    phone = text.translate(_SEPARATORS)
    country = next((phone[1:end] for end in (2, 3, 4) if phone[1:end] in _COUNTRIES), None)
    if country is None:
        return None
    national = phone[1 + len(country) :]
    main, *_ = regions = _COUNTRIES[country]
    prefix = _numbers_of(main).prefix
    if prefix is not None and prefix.match(national):
        return None  # the library may take a prefix like `0` away
    for region in regions:
        numbers = _numbers_of(region)
        if numbers.leading is not None:
            if numbers.leading.match(national):
                return phone if numbers.has(national) else None
        elif numbers.has(national):
            return phone
    return None


@dataclass(frozen=True)
class _Numbers:
    """A region's numbering plan, as libphonenumber's metadata has it."""

    prefix: re.Pattern[str] | None  # what is dialed before a national number
    leading: re.Pattern[str] | None  # which of its country's numbers are this region's
    of_length: dict[int, re.Pattern[str]]  # numbers of any type

    def has(self, national: str) -> bool:
        """Whether this is a valid number of the region."""
        pattern = self.of_length.get(len(national))
        return pattern is not None and pattern.fullmatch(national) is not None


@cache
def _numbers_of(region: str) -> _Numbers:
    """The plan of a region; without numbers for the few that are no region (`001`, satellites)."""
    plan = PhoneMetadata.metadata_for_region(region, None)
    if plan is None or plan.general_desc is None:
        return _Numbers(None, None, {})
    general = plan.general_desc
    # The library asks for the type of a number, one after the other, and first whether it fits
    # `general_desc`; a type without lengths of its own has those of `general_desc`.
    types = [getattr(plan, name) for name in _TYPES]
    known = [each for each in types if each is not None and each.national_number_pattern]
    of_length = {}
    for length in general.possible_length:
        patterns = "|".join(
            f"(?:{each.national_number_pattern})"
            for each in known
            if not each.possible_length or length in each.possible_length
        )
        if patterns:
            of_length[length] = re.compile(
                f"(?=(?:{general.national_number_pattern})\\Z)(?:{patterns})"
            )
    return _Numbers(
        _pattern(plan.national_prefix_for_parsing), _pattern(plan.leading_digits), of_length
    )


def _pattern(text: str | None) -> re.Pattern[str] | None:
    return re.compile(text) if text else None


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


def zones_within(phone: str, own_zone: str | None = None) -> tuple[tuple[str, ...], ...]:
    """Sets of zones, one of which is within `zones_of` the number (if that knows any).

    So where the hours of none of them are open, the number must not be called. It looks at no more
    than the first digits, and costs an import next to nothing.
    """
    return ((own_zone,),) if own_zone is not None else _zones_within(phone[:5])


@lru_cache(maxsize=20_000)
def _zones_within(start: str) -> tuple[tuple[str, ...], ...]:
    if start.startswith(_NANP):
        return (_known(area_zones(start[1:]) or TIMEZONE_DATA["1"]),)
    digits = start[1:]
    country = next((digits[:end] for end in (1, 2, 3) if digits[:end] in _COUNTRIES), digits)
    return tuple((zone,) for zone in _known(area_zones(country))) or ((),)


@lru_cache(maxsize=100_000)
def _north_american_zones(exchange: str) -> tuple[str, ...]:
    """The data knows no more of a number than its exchange (`+1423555`)."""
    number = phonenumbers.parse(f"{exchange}0000")
    zones = set(phone_zones.time_zones_for_number(number))
    return _known(zones | area_zones(exchange[1:5]))


def _known(zones: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({zone for zone in zones if zone != _UNKNOWN}))


@cache
def area_zones(prefix: str) -> frozenset[str]:
    """Every zone of an area code (`1423`) or a country, over all of its exchanges."""
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

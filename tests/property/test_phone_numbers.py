"""Numbers: what is read is E.164 and reads as itself; nothing else gets through, or crashes."""

import re

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outdial.domain.errors import InvalidInput
from outdial.domain.phone_number import is_zone, parse_phone, redact, zones_of

pytestmark = pytest.mark.prop

E164 = re.compile(r"\+[1-9]\d{6,14}")
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
NUMBERS = st.sampled_from(
    [
        phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        for region in REGIONS
        if (example := phonenumbers.example_number(region)) is not None
    ]
)
# Digits and separators are likelier to be taken for a number than any text.
ALMOST = st.text(st.sampled_from("+0123456789 ()-./tel:x#*,;\u00a0\u2011"), max_size=24)


EXAMPLES = sorted(
    {
        phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        for region in REGIONS
        for kind in phonenumbers.PhoneNumberType.values()
        if (example := phonenumbers.example_number_for_type(region, kind)) is not None
    }
)


@st.composite
def nearly_numbers(draw: st.DrawFn) -> str:
    """A real number of any kind, and then a digit wrong, too few or too many, or a prefix."""
    digits = list(draw(st.sampled_from(EXAMPLES)))
    digit = st.sampled_from("0123456789")
    place = draw(st.integers(1, len(digits) - 1))
    match draw(st.sampled_from(["as it is", "tail", "wrong", "more", "fewer", "prefix"])):
        case "tail":
            digits[place:] = [draw(digit) for _ in digits[place:]]
        case "wrong":
            digits[place] = draw(digit)
        case "more":
            digits.insert(place, draw(digit))
        case "fewer":
            del digits[place]
        case "prefix":
            digits[min(place, 4) : min(place, 4)] = draw(
                st.sampled_from(["0", "00", "1", "8", "9"])
            )
    for _ in range(draw(st.integers(0, 3))):
        digits.insert(draw(st.integers(1, len(digits))), draw(st.sampled_from(" ().-")))
    return "".join(digits)


def library_says(text: str) -> str | None:
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@settings(max_examples=2000)
@given(nearly_numbers())
def test_the_short_way_answers_as_the_library_does(text: str) -> None:
    assert read(text) == library_says(text)


def test_every_kind_of_number_of_every_country_is_read() -> None:
    assert len(EXAMPLES) > 900
    assert [phone for phone in EXAMPLES if read(phone) != library_says(phone)] == []


def read(text: str, region: str | None = None) -> str | None:
    try:
        return parse_phone(text, region)
    except InvalidInput:
        return None


@given(st.one_of(st.text(), ALMOST), st.sampled_from([None, "US", "GB", "XX"]))
def test_whatever_is_read_is_e164_and_reads_as_itself(text: str, region: str | None) -> None:
    phone = read(text, region)
    if phone is not None:
        assert E164.fullmatch(phone)
        assert parse_phone(phone) == phone
        assert all(map(is_zone, zones_of(phone)))


@given(NUMBERS, st.sampled_from(["", " ", "-", ".", "\u00a0"]), st.integers(1, 6))
def test_separators_change_nothing(phone: str, separator: str, every: int) -> None:
    digits = phone[1:]
    written = "+" + separator.join(digits[i : i + every] for i in range(0, len(digits), every))
    assert read(written) == phone
    assert read(f" {phone} ") == phone


@given(NUMBERS)
def test_every_country_has_zones_and_a_redacted_form(phone: str) -> None:
    assert zones_of(phone, "Europe/Paris") == ("Europe/Paris",)
    shown = redact(phone)
    assert phone not in shown
    assert sum(map(str.isdigit, shown)) <= 8

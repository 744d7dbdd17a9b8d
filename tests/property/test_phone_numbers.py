"""Numbers: what is read is E.164 and reads as itself; nothing else gets through, or crashes."""

import re

import phonenumbers
import pytest
from hypothesis import given
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

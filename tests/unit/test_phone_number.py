"""Telephone numbers and the zones in which they may ring."""

import pytest

from outdial.domain.errors import InvalidInput
from outdial.domain.phone_number import country_of, is_zone, parse_phone, redact, zones_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "region", "phone"),
    [
        ("+12025550100", None, "+12025550100"),
        (" +1 (202) 555-0100 ", None, "+12025550100"),
        ("(202) 555-0100", "US", "+12025550100"),
        ("020 7946 0123", "GB", "+442079460123"),
        ("+44 20 7946 0123", "US", "+442079460123"),
        ("tel:+12025550100", None, "+12025550100"),
        ("+1\u00a0202\u2011555\u20110100", None, "+12025550100"),
    ],
)
def test_numbers_are_read(text: str, region: str | None, phone: str) -> None:
    assert parse_phone(text, region) == phone


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "2025550100",
        "+1202555010",
        "+120255501000",
        "+10005550100",
        "+999123456789",
        "+1202555CALL",
        "+12025550100 ext. 5",
        "+12025550100 (Bob)",
        "+12025550100, +12025550101",
        "+12025550100 / +12025550101",
        "+" + "1" * 300,
        "١٢٣",
        "\x00",
    ],
)
def test_others_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_phone(text)


@pytest.mark.parametrize("text", ["+12025550100 ext. 5", "+12025550100x12", "+12025550100;ext=7"])
def test_an_extension_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match="extension"):
        parse_phone(text)


@pytest.mark.parametrize(
    ("phone", "own", "zones"),
    [
        ("+12125550100", None, ("America/New_York",)),
        ("+12125550100", "Europe/Paris", ("Europe/Paris",)),
        # libphonenumber puts this exchange in Central; Chattanooga is in Eastern.
        ("+14235550100", None, ("America/Chicago", "America/New_York")),
        ("+12705550100", None, ("America/Chicago", "America/New_York")),
        ("+442079460123", None, ("Europe/London",)),
        ("+882161234567", None, ()),  # a satellite's
    ],
)
def test_zones(phone: str, own: str | None, zones: tuple[str, ...]) -> None:
    assert zones_of(phone, own) == zones


def test_a_toll_free_number_may_ring_anywhere() -> None:
    assert len(zones_of("+18005550100")) > 30


def test_country() -> None:
    assert country_of("+12025550100") == "US"
    assert country_of("+882161234567") in {None, "001"}


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("America/New_York", True),
        ("UTC", True),
        ("Etc/Unknown", False),
        ("Mars/Olympus", False),
        ("", False),
        ("../etc/passwd", False),
        ("/etc/localtime", False),
        ("America", False),
    ],
)
def test_zone_names(name: str, known: bool) -> None:
    assert is_zone(name) is known


@pytest.mark.parametrize(
    ("phone", "shown"),
    [("+12025550100", "+1202•••0100"), ("+4930123", "•••"), ("", "•••")],
)
def test_logs_do_not_show_a_number(phone: str, shown: str) -> None:
    assert redact(phone) == shown

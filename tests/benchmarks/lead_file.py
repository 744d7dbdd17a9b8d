"""A CSV of leads as an operator has it: numbers of several countries and spellings, some wrong."""

import csv
import random
from functools import cache
from pathlib import Path

import phonenumbers

HEADER = ("external_id", "name", "phone", "timezone", "clinic", "appointment")
BAD_IN = 500  # one number in so many is no number

# Country, then a prefix of its national numbers and how many digits follow it.
_ABROAD = (
    ("44", "20 7", 7),
    ("44", "77", 8),
    ("49", "30 ", 8),
    ("49", "151", 8),
    ("33", "6", 8),
    ("61", "4", 8),
    ("34", "6", 8),
    ("39", "06 ", 8),
    ("91", "98", 8),
    ("52", "55 ", 8),
)
_FIRST = ("Maria", "James", "Ann", "José", "Wei", "Fatima", "Olga", "Ravi", "Chloë", "Kwame")
_LAST = (
    "Lopez",
    "Carter",
    "Müller",
    "Nguyen",
    "Smith",
    "Okafor",
    "Ivanova",
    "Patel",
    "Dubois",
    "García",
)
_ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


def write_lead_file(path: Path, count: int, seed: int = 20261121) -> int:
    """Write `count` rows; how many of their numbers are no numbers."""
    dice = random.Random(seed)
    bad = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER)
        for number in range(count):
            wrong = number % BAD_IN == BAD_IN - 1
            bad += wrong
            rows.writerow(_row(dice, number, wrong=wrong))
    return bad


def _row(dice: random.Random, number: int, *, wrong: bool) -> tuple[str, ...]:
    roll = dice.random()
    return (
        f"CRM-{number:07d}",
        f"{dice.choice(_FIRST)} {dice.choice(_LAST)}",
        "555-0100" if wrong else _phone(dice, roll),
        dice.choice(_ZONES) if roll < 0.3 else "",
        "Lakeside Clinic",
        f"{dice.choice(_DAYS)} at {dice.randrange(8, 18)}:{dice.randrange(60):02d}",
    )


def _phone(dice: random.Random, roll: float) -> str:
    if roll > 0.9:
        country, prefix, digits = dice.choice(_ABROAD)
        return f"+{country} {prefix}{dice.randrange(10**digits):0{digits}d}"
    area, exchange = dice.choice(_areas()), dice.randrange(220, 1000)
    last = dice.randrange(10_000)
    if roll > 0.7:
        return f"+1 ({area}) {exchange}-{last:04d}"
    return f"+1{area}{exchange}{last:04d}"


@cache
def _areas() -> tuple[str, ...]:
    """The area codes of the United States and Canada."""
    return tuple(
        area
        for area in map(str, range(200, 1000))
        if phonenumbers.region_code_for_number(phonenumbers.parse(f"+1{area}2345678"))
        in {"US", "CA"}
    )

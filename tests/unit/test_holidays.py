"""Public holidays and the rules of jurisdictions."""

from datetime import date, timedelta

import pytest

from outdial.domain.call_template import Hours, Limits
from outdial.domain.calling_hours import WEEKDAYS
from outdial.domain.holidays import CALENDARS, easter_sunday, is_holiday
from outdial.domain.jurisdictions import JURISDICTIONS, limits_of
from outdial.operations.check_template import hours_problems

pytestmark = pytest.mark.unit

# As published: opm.gov (federal holidays) and gov.uk/bank-holidays (England and Wales).
US_2026 = "01-01 01-19 02-16 05-25 06-19 07-03 07-04 09-07 10-12 11-11 11-26 12-25"
UK_2026 = "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-26 12-28"
UK_2021 = "01-01 04-02 04-05 05-03 05-31 08-30 12-25 12-26 12-27 12-28"
UK_2022 = "01-01 01-03 04-15 04-18 05-02 05-30 08-29 12-25 12-26 12-27"  # less the jubilee's moves


def days_of(calendar: str, year: int) -> str:
    day, found = date(year, 1, 1), []
    while day.year == year:
        found += [day.strftime("%m-%d")] if is_holiday(calendar, day) else []
        day += timedelta(days=1)
    return " ".join(found)


@pytest.mark.parametrize(
    ("calendar", "year", "days"),
    [
        ("us-federal", 2026, US_2026),
        ("uk-england", 2026, UK_2026),
        ("uk-england", 2022, UK_2022),
        ("uk-england", 2021, UK_2021),
    ],
)
def test_a_year(calendar: str, year: int, days: str) -> None:
    assert days_of(calendar, year) == days


def test_a_new_year_on_a_saturday_is_kept_on_the_last_day_of_the_old_one() -> None:
    assert is_holiday("us-federal", date(2027, 12, 31))
    assert not is_holiday("us-federal", date(2026, 12, 31))


@pytest.mark.parametrize(
    ("year", "day"),
    [(2024, date(2024, 3, 31)), (2025, date(2025, 4, 20)), (2038, date(2038, 4, 25))],
)
def test_easter(year: int, day: date) -> None:
    assert easter_sunday(year) == day


@pytest.mark.parametrize("name", JURISDICTIONS)
def test_jurisdictions_hold_what_templates_must(name: str) -> None:
    rules = JURISDICTIONS[name]
    hours = Hours(weekdays=rules.weekdays, jurisdictions=(name,), holidays=tuple(CALENDARS))
    assert list(hours_problems(hours)) == []
    assert set(rules.weekdays) == set(WEEKDAYS)
    assert rules.sources
    assert rules.title


def test_florida_and_oklahoma_allow_three_calls_a_day() -> None:
    assert limits_of(["us-fl", "us-ok"]) == [Limits(attempts_per_day=3)] * 2
    assert limits_of(["us-reg-f"]) == [Limits(attempts_per_week=7, rest_days_after_conversation=7)]


def test_unknown_names_are_explained() -> None:
    problems = list(hours_problems(Hours(jurisdictions=("us-tx",), holidays=("fr",))))
    assert [problem.field for problem in problems] == ["hours.holidays.0", "hours.jurisdictions.0"]
    assert "us-federal" in problems[1].message

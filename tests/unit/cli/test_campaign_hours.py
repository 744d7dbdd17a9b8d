"""The file of `campaign create --hours`."""

from pathlib import Path

import pytest

from outdial.operations.check_hours import checked_hours
from outdial_cli.commands.campaigns import _hours_in
from outdial_cli.failure import CommandFailedError

pytestmark = pytest.mark.unit

INNER = "weekdays:\n  mon: ['09:00-17:00']\nclosed_dates: [2026-12-24]\nspread_minutes: 5\n"


@pytest.mark.parametrize(
    "written",
    [
        INNER,
        "hours:\n" + "".join(f"  {line}\n" for line in INNER.splitlines()),
        '{"weekdays": {"mon": ["09:00-17:00"]}, "closed_dates": ["2026-12-24"], '
        '"spread_minutes": 5}',
    ],
)
def test_hours_are_read_as_in_a_template(tmp_path: Path, written: str) -> None:
    file = tmp_path / "hours.yaml"
    file.write_text(written)
    hours = checked_hours(_hours_in(file))
    assert hours is not None
    assert hours["weekdays"] == {"mon": ["09:00-17:00"]}
    assert hours["closed_dates"] == ["2026-12-24"]
    assert (hours["spread_minutes"], hours["require_timezone"]) == (5.0, False)


@pytest.mark.parametrize("written", ["- 1", "", "a: [", "just text"])
def test_what_holds_none_is_said(tmp_path: Path, written: str) -> None:
    file = tmp_path / "hours.yaml"
    file.write_text(written)
    with pytest.raises(CommandFailedError):
        _hours_in(file)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match="No such file"):
        _hours_in(tmp_path / "nowhere.yaml")

"""A set of numbers that does not fit together is refused at start, with the ones to change."""

import pytest
from pydantic import ValidationError

from outdial.settings import Settings
from outdial.settings_that_fit import misfits

pytestmark = pytest.mark.unit


def test_the_defaults_fit() -> None:
    assert misfits(Settings(_env_file=None)) == []


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("departure_notice_seconds", 2.0, "POST_TOO_LATE"),
        ("post_too_late_seconds", 10.0, "POST_TIMEOUT"),  # and unknown_after_seconds, after it
        ("unknown_after_seconds", 12.0, "POST_TIMEOUT"),
        ("unknown_spent_after_seconds", 45.0, "RING_TIMEOUT"),
        ("pod_out_after_seconds", 1.5, "HEARTBEAT"),
        ("live_slot_lease_seconds", 3.0, "POD_OUT_AFTER"),
        ("settle_anyway_seconds", 8.0, "CLOSING_PASS"),
        ("provider_sockets", 1, "a call takes two"),
        ("silent_attempt_seconds", 30.0, "RING_TIMEOUT"),
    ],
)
def test_one_that_does_not_is_named_with_what_it_must_fit(
    name: str, value: float, other: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(_env_file=None, **{name: value})
    (error,) = caught.value.errors()
    assert error["msg"].startswith(f"Value error, OUTDIAL_{name.upper()} must be")
    assert other in error["msg"]

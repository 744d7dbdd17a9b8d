"""What the doctor says of a Twilio account."""

import pytest

from outdial_cli.doctor.check_keys import _account

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("status", "kind", "grade", "says"),
    [
        ("active", "Full", "ok", "works"),
        ("active", "Trial", "note", "only call numbers that you verified"),
        ("suspended", "Full", "missing", "suspended"),
    ],
)
def test_the_kind_of_account_is_told(status: str, kind: str, grade: str, says: str) -> None:
    (finding,) = _account(status, kind)
    assert finding.grade == grade
    assert says in finding.says

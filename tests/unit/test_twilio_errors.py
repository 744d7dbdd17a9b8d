"""What Twilio's codes ask for."""

import pytest

from outdial.domain.call_outcome import INVALID_NUMBER_CODES
from outdial.domain.spent import UNSPENT_CODES
from outdial.telephony.twilio_errors import CLASSES, ErrorClass, class_of, code_of

pytestmark = pytest.mark.unit


def test_classes_agree_with_what_the_rules_say_of_the_same_codes() -> None:
    next_contact = {code for code, kind in CLASSES.items() if kind is ErrorClass.NEXT_CONTACT}
    assert next_contact == INVALID_NUMBER_CODES
    assert not next_contact & UNSPENT_CODES
    assert {code for code, kind in CLASSES.items() if kind is ErrorClass.RETRY} <= UNSPENT_CODES


def test_a_code_nobody_knows_is_unknown() -> None:
    assert class_of(99999) is ErrorClass.UNKNOWN


@pytest.mark.parametrize(
    ("code", "status", "meant"),
    [
        (21211, 400, 21211),
        (429, 429, 20429),
        (None, 401, 20003),
        (None, 404, 20404),
        (400, 400, 400),
    ],
)
def test_a_bare_status_stands_for_its_code(code: object, status: int, meant: int) -> None:
    assert code_of(code, status) == meant

"""One lead as it was sent: what is stored, and what is said when it does not fit."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from outdial.domain.errors import FieldProblem
from outdial.operations.check_lead import Target, check_lead
from outdial.operations.read_leads_json import raw_lead
from outdial.storage.leads import NewLead

pytestmark = pytest.mark.unit

PHONE = "+12125550100"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ID = UUID(int=1)


def checked(lead: object, *wanted: str) -> NewLead | FieldProblem:
    target = Target(UUID(int=2), UUID(int=3), frozenset(wanted), NOW)
    return check_lead(raw_lead(0, lead), target, ID)


def stored(lead: object, *wanted: str) -> NewLead:
    found = checked(lead, *wanted)
    assert isinstance(found, NewLead), found
    return found


def test_a_lead_as_it_is_stored() -> None:
    lead = stored(
        {
            "phone": "+1 (212) 555-0100",
            "name": " Ann ",
            "timezone": "America/New_York",
            "external_id": "A-1",
            "not_before": "2026-11-24T09:00:00",
            "expires_at": "2026-11-25T00:00:00Z",
            "variables": {"clinic": "Lakeside", "n": 3, "vip": True},
        },
        "clinic",
        "name",
    )
    assert lead.contacts[0].phone == PHONE
    assert lead.contacts[0].name == "Ann"
    assert lead.not_before == datetime(2026, 11, 24, 14, tzinfo=UTC)
    assert lead.variables == {"clinic": "Lakeside", "n": 3, "vip": True}
    assert lead.id == ID


@pytest.mark.parametrize(
    ("lead", "field", "told"),
    [
        ({}, "phone", "missing"),
        ({"phone": "12"}, "phone", "not"),
        ({"phone": 12125550100}, "phone", "text"),
        ({"phone": "2125550100"}, "phone", "country"),
        ({"phone": PHONE, "timezone": "America/NewYork"}, "timezone", "America/New_York"),
        ({"phone": PHONE, "not_before": "tomorrow"}, "not_before", "a time like"),
        ({"phone": PHONE, "not_before": "2026-11-24T09:00:00"}, "not_before", "offset"),
        ({"phone": PHONE, "expires_at": "2026-01-01T00:00:00Z"}, "expires_at", "past"),
        (
            {
                "phone": PHONE,
                "not_before": "2026-12-02T00:00:00Z",
                "expires_at": "2026-12-01T00:00:00Z",
            },
            "expires_at",
            "not after",
        ),
        ({"phone": PHONE, "not_before": "0001-01-01T00:00:00+14:00"}, "not_before", "a time"),
        ({"phone": PHONE, "variables": {"a": [1]}}, "variables.a", "text, a number"),
        ({"phone": PHONE, "variables": {"a": "x\0"}}, "variables.a", "NUL"),
        ({"phone": PHONE, "variables": {"a": "\ud800"}}, "variables.a", "surrogate"),
        ({"phone": PHONE, "variables": {"a": float("inf")}}, "variables.a", "finite"),
        ({"phone": PHONE, "variables": {"a": "x" * 5000}}, "variables.a", "longer"),
        ({"phone": PHONE, "variables": {str(n): 1 for n in range(201)}}, "variables", "more than"),
        ({"phone": PHONE, "variables": [1]}, "variables", "object"),
        ({"phone": PHONE, "name": "x" * 300}, "name", "longer"),
        ({"phone": PHONE, "fone": "x"}, "fone", "phone"),
        ({"phone": PHONE, "contacts": [{"phone": PHONE}]}, "contacts", "beside"),
        ({"contacts": []}, "contacts", "at least one"),
        ({"contacts": [{"phone": PHONE, "mail": "x"}]}, "contacts.0.mail", "none of"),
        ({"contacts": [{"phone": PHONE}, {"phone": PHONE}]}, "contacts.1.phone", "earlier"),
        ({"contacts": [{"phone": f"+1212555{n:04}"} for n in range(100, 111)]}, "contacts", "10"),
        ([], "", "object"),
    ],
)
def test_what_does_not_fit_is_named(lead: object, field: str, told: str) -> None:
    found = checked(lead)
    assert isinstance(found, FieldProblem), found
    assert found.field == field
    assert told in found.message


def test_a_variable_of_the_template_must_be_there() -> None:
    found = checked({"phone": PHONE, "variables": {"clinic": ""}}, "clinic")
    assert found == FieldProblem("clinic", "is missing: the template names {{clinic}}")


def test_each_contact_needs_the_name_that_the_template_says() -> None:
    lead = {"contacts": [{"phone": PHONE, "name": "Ann"}, {"phone": "+12125550101"}]}
    found = checked(lead, "name")
    assert isinstance(found, FieldProblem)
    assert found.field == "contacts.1.name"
    assert isinstance(checked({**lead, "variables": {"name": "you"}}, "name"), NewLead)

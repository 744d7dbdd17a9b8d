"""Check one lead as it was sent, and say in its sender's words what does not fit."""

import difflib
import json
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from outdial.domain.errors import FieldProblem, InvalidInput
from outdial.domain.phone_number import parse_phone
from outdial.domain.placeholders import CONTACT_VARIABLES
from outdial.operations.check_text import unstorable
from outdial.storage.leads import NewContact, NewLead

MAX_CONTACTS = 10
MAX_NAME, MAX_KEY, MAX_VALUE = 200, 200, 4_000
MAX_VARIABLES, MAX_VARIABLES_BYTES = 200, 32_000


@dataclass(frozen=True)
class RawContact:
    """A contact as it was sent: phone, name, timezone; `labels` is what the sender calls them."""

    values: Mapping[str, object]
    labels: Mapping[str, str]


@dataclass(frozen=True)
class RawLead:
    """One lead as it was sent. `row` numbers it for its sender."""

    row: int
    contacts: tuple[RawContact, ...] = ()
    fields: Mapping[str, object] = field(default_factory=dict)  # external_id, not_before, ...
    variables: Mapping[str, object] = field(default_factory=dict)
    problem: FieldProblem | None = None  # it could not even be read


@dataclass(frozen=True)
class Target:
    """What a lead is checked against."""

    campaign_id: uuid.UUID
    template_id: uuid.UUID
    wanted: frozenset[str]  # the variables that the template names
    now: datetime


class _BadLead(Exception):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.problem = FieldProblem(field, message)


def check_lead(raw: RawLead, target: Target, lead_id: uuid.UUID) -> NewLead | FieldProblem:
    """The lead that will be stored, or the first thing that does not fit."""
    if raw.problem is not None:
        return raw.problem
    try:
        return _checked(raw, target, lead_id)
    except _BadLead as bad:
        return bad.problem


def _checked(raw: RawLead, target: Target, lead_id: uuid.UUID) -> NewLead:
    contacts = _contacts(raw.contacts)
    variables = _variables(raw.variables)
    _has_all_variables(raw, target.wanted, variables, contacts)
    zone = next((contact.timezone for contact in contacts if contact.timezone), None)
    not_before = _moment(raw.fields, "not_before", zone)
    expires_at = _moment(raw.fields, "expires_at", zone)
    if expires_at is not None:
        if expires_at <= target.now:
            raise _BadLead("expires_at", "is in the past")
        if not_before is not None and expires_at <= not_before:
            raise _BadLead("expires_at", "is not after not_before")
    return NewLead(
        id=lead_id,
        campaign_id=target.campaign_id,
        template_id=target.template_id,
        contacts=contacts,
        variables=variables,
        external_id=_text(raw.fields, "external_id", "external_id", MAX_KEY),
        branch_key=_text(raw.fields, "branch_key", "branch_key", MAX_KEY),
        not_before=not_before,
        expires_at=expires_at,
        caller_number=_caller(raw.fields),
    )


def _contacts(raw: tuple[RawContact, ...]) -> tuple[NewContact, ...]:
    if not raw:
        raise _BadLead("phone", "is missing")
    if len(raw) > MAX_CONTACTS:
        raise _BadLead("contacts", f"are more than {MAX_CONTACTS}")
    contacts = tuple(map(_contact, raw))
    phones = [contact.phone for contact in contacts]
    for position, phone in enumerate(phones):
        if phone in phones[:position]:
            raise _BadLead(raw[position].labels["phone"], "is the number of an earlier contact")
    return contacts


def _contact(raw: RawContact) -> NewContact:
    label = raw.labels["phone"]
    phone = _text(raw.values, "phone", label, 64)
    if phone is None:
        raise _BadLead(label, "is missing")
    return NewContact(
        _number(phone, label),
        _text(raw.values, "name", raw.labels["name"], MAX_NAME),
        _timezone(_text(raw.values, "timezone", raw.labels["timezone"], 64), raw),
    )


def _caller(fields: Mapping[str, object]) -> str | None:
    phone = _text(fields, "from_number", "from_number", 64)
    return None if phone is None else _number(phone, "from_number")


def _number(phone: str, label: str) -> str:
    try:
        return parse_phone(phone)
    except InvalidInput as error:
        raise _BadLead(label, str(error)) from None


def _text(values: Mapping[str, object], key: str, label: str, longest: int) -> str | None:
    value = values.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise _BadLead(label, "must be text")
    if len(value) > longest:
        raise _BadLead(label, f"is longer than {longest} characters")
    if reason := unstorable(value):
        raise _BadLead(label, reason)
    return value.strip() or None


def _timezone(name: str | None, raw: RawContact) -> str | None:
    if name is None or name in _zones():
        return name
    close = difflib.get_close_matches(name, _zones(), n=1)
    hint = f"; did you mean {close[0]}?" if close else ", like America/New_York"
    raise _BadLead(raw.labels["timezone"], f"{name!r} is no IANA time zone{hint}")


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - {"Factory", "localtime", "posixrules"}


def _moment(fields: Mapping[str, object], key: str, zone: str | None) -> datetime | None:
    text = _text(fields, key, key, 64)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None and zone is not None:
            moment = moment.replace(tzinfo=ZoneInfo(zone))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _BadLead(key, "must be a time like 2026-11-24T09:00:00-05:00") from None
    raise _BadLead(key, "needs an offset, like 2026-11-24T09:00:00-05:00, or the lead a timezone")


def _variables(raw: Mapping[str, object]) -> dict[str, Any]:
    if len(raw) > MAX_VARIABLES:
        raise _BadLead("variables", f"are more than {MAX_VARIABLES}")
    variables = {key: _value(key, value) for key, value in raw.items()}
    if len(variables) > 20 and len(json.dumps(variables)) > MAX_VARIABLES_BYTES:
        raise _BadLead("variables", f"are larger than {MAX_VARIABLES_BYTES // 1000} KB together")
    return variables


def _value(key: str, value: object) -> object:
    if reason := _unusable(key, value):
        raise _BadLead(f"variables.{key[:50]}", reason)
    return value


def _unusable(key: str, value: object) -> str | None:
    if len(key) > MAX_KEY or unstorable(key):
        return "has a name that cannot be used"
    if isinstance(value, str):
        return _unspeakable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if value is not None and not isinstance(value, int | float | bool):
        return "must be text, a number, true or false"
    return None


def _unspeakable(value: str) -> str | None:
    if len(value) > MAX_VALUE:
        return f"is longer than {MAX_VALUE} characters"
    return unstorable(value)


def _has_all_variables(
    raw: RawLead,
    wanted: frozenset[str],
    variables: Mapping[str, object],
    contacts: tuple[NewContact, ...],
) -> None:
    """A template must never be spoken with a hole in it."""
    for name in sorted(wanted):
        if variables.get(name) not in (None, ""):
            continue
        if name not in CONTACT_VARIABLES:
            raise _BadLead(name, f"is missing: the template names {{{{{name}}}}}")
        for contact, sent in zip(contacts, raw.contacts, strict=True):
            if not getattr(contact, name):
                label = sent.labels[name]
                raise _BadLead(label, f"is missing: the template names {{{{{name}}}}}")

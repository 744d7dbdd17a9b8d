"""Read leads from JSON (`{"leads": [...]}` or a list) and from NDJSON, one lead to a line."""

import difflib
import json
from collections.abc import Generator, Mapping
from typing import Any, BinaryIO

from outdial.domain.errors import FieldProblem, InvalidInput
from outdial.operations.check_lead import RawContact, RawLead

_CONTACT = ("phone", "name", "timezone")
_FIELDS = ("external_id", "not_before", "expires_at", "branch_key")
_KNOWN = (*_CONTACT, "contacts", *_FIELDS, "variables")
_MAX_LINE = 256 * 1024


def read_leads_json(file: BinaryIO) -> Generator[RawLead, None, None]:
    """The leads of a JSON body, numbered from 0. It is read whole: its size is bounded by the door.

    Raises:
        InvalidInput: it is no JSON, or holds no list of leads.

    """
    try:
        document = json.load(file)
    except (ValueError, RecursionError):
        raise _unreadable("is not JSON in UTF-8") from None
    leads = document.get("leads") if isinstance(document, dict) else document
    if not isinstance(leads, list) or not leads:
        raise _unreadable('must be {"leads": [...]} or a list, with at least one lead')
    if isinstance(document, dict) and len(document) > 1:
        extra = next(key for key in document if key != "leads")
        raise _unreadable(f"has an unknown key {extra[:50]!r} beside leads")
    for number, lead in enumerate(leads):
        yield raw_lead(number, lead)


def read_leads_ndjson(file: BinaryIO) -> Generator[RawLead, None, None]:
    """The leads of an NDJSON body, numbered by their line from 1; empty lines are passed over."""
    number, found = 0, False
    while line := file.readline(_MAX_LINE):
        number += 1
        if not line.strip():
            continue
        found = True
        if len(line) == _MAX_LINE:
            yield _bad(number, "", f"this line is longer than {_MAX_LINE // 1024} KB")
            _skip_line(file, line)
            continue
        try:
            yield raw_lead(number, json.loads(line))
        except (ValueError, RecursionError):
            yield _bad(number, "", "this line is not JSON in UTF-8")
    if not found:
        raise _unreadable("is empty: it needs one JSON object a line")


def raw_lead(number: int, lead: object) -> RawLead:
    """One JSON object as a lead; what is wrong with its shape becomes its problem."""
    if not isinstance(lead, Mapping):
        return _bad(number, "", "a lead must be an object")
    for key in lead:
        if key not in _KNOWN:
            return _bad(number, str(key)[:50], f"is not known here; {_nearest(str(key))}")
    contacts = lead.get("contacts")
    if contacts is not None and any(lead.get(key) is not None for key in _CONTACT):
        return _bad(number, "contacts", "cannot stand beside phone, name and timezone")
    if contacts is None:
        contacts = [{key: lead[key] for key in _CONTACT if key in lead}]
        prefix = None
    else:
        prefix = "contacts"
    if (problem := _contact_problem(contacts)) is not None:
        return RawLead(number, problem=problem)
    variables = lead.get("variables") or {}
    if not isinstance(variables, Mapping):
        return _bad(number, "variables", "must be an object")
    return RawLead(
        number,
        tuple(_contact(contact, n, prefix) for n, contact in enumerate(contacts)),
        {key: lead[key] for key in _FIELDS if key in lead},
        variables,
    )


def _contact_problem(contacts: object) -> FieldProblem | None:
    if not isinstance(contacts, list) or not contacts:
        return FieldProblem("contacts", "must be a list with at least one contact")
    for number, contact in enumerate(contacts):
        if not isinstance(contact, Mapping):
            return FieldProblem(f"contacts.{number}", "must be an object with a phone")
        for key in contact:
            if key not in _CONTACT:
                known = ", ".join(_CONTACT)
                return FieldProblem(f"contacts.{number}.{str(key)[:50]}", f"is none of {known}")
    return None


def _contact(contact: Mapping[str, Any], number: int, prefix: str | None) -> RawContact:
    at = f"{prefix}.{number}." if prefix else ""
    return RawContact(contact, {key: f"{at}{key}" for key in _CONTACT})


def _nearest(key: str) -> str:
    close = difflib.get_close_matches(key, _KNOWN, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return "what the template needs to know stands in variables"


def _skip_line(file: BinaryIO, part: bytes) -> None:
    while part and not part.endswith(b"\n"):
        part = file.readline(_MAX_LINE)


def _bad(number: int, field: str, message: str) -> RawLead:
    return RawLead(number, problem=FieldProblem(field, message))


def _unreadable(message: str) -> InvalidInput:
    return InvalidInput("The leads cannot be read.", (FieldProblem("body", message),))

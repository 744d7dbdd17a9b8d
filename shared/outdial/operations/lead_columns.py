"""Which column of a file means what. docs/csv.md is written from this table.

Headers are compared without case, spaces and punctuation, so `Phone Number`, `phone_number` and
`PHONE-NUMBER` are one. What is not in the table is a variable of the template.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

ContactField = Literal["phone", "name", "timezone"]
LeadField = Literal["external_id", "not_before", "expires_at", "branch_key"]

SYNONYMS: dict[str, tuple[str, ...]] = {
    "phone": (
        "phone_number", "mobile", "mobile_phone", "mobile_number", "cell", "cell_phone",
        "telephone", "telephone_number", "tel", "to", "to_number", "number", "msisdn",
        "contact_number",
    ),
    "name": ("full_name", "contact_name", "customer_name", "contact"),
    "timezone": ("tz", "iana_timezone"),
    "external_id": ("id", "lead_id", "reference", "ref", "record_id", "crm_id"),
    "not_before": ("call_after", "earliest", "start_at"),
    "expires_at": ("call_before", "latest", "expiry", "expires", "deadline"),
    "branch_key": ("branch", "household", "group_key"),
}  # fmt: skip
"""Each known column, and the other names it goes by."""

MAX_CONTACTS = 10
_NUMBERED = re.compile(r"(.*?)(\d+)")


@dataclass(frozen=True)
class ContactColumn:
    """A column that describes one contact; position 0 is called first."""

    field: ContactField
    position: int


@dataclass(frozen=True)
class LeadColumn:
    """A column that describes the lead as a whole."""

    field: LeadField


@dataclass(frozen=True)
class VariableColumn:
    """A column that is a variable of the template."""

    name: str


Column = ContactColumn | LeadColumn | VariableColumn


def squash(header: str) -> str:
    """A header as it is compared: letters and digits only, without case or accents' spellings."""
    folded = unicodedata.normalize("NFKC", header).casefold()
    return "".join(letter for letter in folded if letter.isalnum())


def variable_name(header: str) -> str:
    """A header as a variable that a template can name: `First Name` is `first_name`."""
    folded = unicodedata.normalize("NFKD", header).casefold()
    words = re.findall(r"[a-z0-9]+", folded.encode("ascii", "ignore").decode())
    name = "_".join(words)
    return f"_{name}" if name[:1].isdigit() else name


_KNOWN: dict[str, str] = {
    squash(word): field for field, words in SYNONYMS.items() for word in (field, *words)
}


def column_of(header: str, wanted: Iterable[str] = ()) -> Column | None:
    """What a column with this header is; None for one without a usable name.

    `wanted` are the variables that the template names. They decide between spellings
    (`firstName` for `{{first_name}}`), and a variable the template asks for by a synonym's name
    (`{{reference}}`) stays a variable; the plain names of the table never do.
    """
    key = squash(header)
    by_key = {squash(name): name for name in wanted}
    field = _KNOWN.get(key)
    if field is not None and (key == squash(field) or key not in by_key):
        return _known(field, 0)
    if key in by_key:
        return VariableColumn(by_key[key])
    if (numbered := _numbered_contact(key)) is not None:
        return numbered
    name = variable_name(header)
    return VariableColumn(name) if name else None


def _numbered_contact(key: str) -> ContactColumn | None:
    """`phone_2`, `name_3`: the contacts after the first. `phone_1` is the first."""
    found = _NUMBERED.fullmatch(key)
    field = _KNOWN.get(found[1]) if found else None
    if not found or field is None or len(found[2]) > 3:
        return None
    column = _known(field, int(found[2]) - 1)
    return column if isinstance(column, ContactColumn) and column.position >= 0 else None


def _known(field: str, position: int) -> ContactColumn | LeadColumn:
    for known in get_args(ContactField):
        if field == known:
            return ContactColumn(known, position)
    for known in get_args(LeadField):
        if field == known:
            return LeadColumn(known)
    raise KeyError(field)

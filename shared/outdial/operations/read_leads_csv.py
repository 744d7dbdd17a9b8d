"""Read leads from CSV, one row at a time, whatever the spreadsheet made of it.

A byte order mark, UTF-16, commas, semicolons, tabs or bars, `sep=;`, quoted line breaks: all are
read. What cannot be read is said with its row. Row numbers are those that a spreadsheet shows: the
header is row 1. Nothing is held but the row at hand.
"""

import csv
import io
from collections.abc import Generator, Iterable, Iterator
from typing import BinaryIO, get_args

from outdial.domain.errors import FieldProblem, InvalidInput
from outdial.operations.check_lead import RawContact, RawLead
from outdial.operations.check_text import unstorable
from outdial.operations.lead_columns import (
    MAX_CONTACTS,
    Column,
    ContactColumn,
    ContactField,
    LeadColumn,
    VariableColumn,
    column_of,
)

_DELIMITERS = ",;\t|"
MAX_FIELD = 20_000
MAX_COLUMNS = 500


def read_leads_csv(file: BinaryIO, wanted: Iterable[str] = ()) -> Generator[RawLead, None, None]:
    """The rows of a CSV file; `wanted` are the variables that the template names.

    Raises:
        InvalidInput: the file as a whole is no use: empty, no phone column, two columns that mean
            the same, not text.

    """
    text = _as_text(file)
    csv.field_size_limit(MAX_FIELD)
    try:
        yield from _rows(text, tuple(wanted))
    finally:
        text.detach()  # the file is the caller's to close


def _as_text(file: BinaryIO) -> io.TextIOWrapper:
    start = file.read(4)
    file.seek(0)
    if start.startswith(b"PK\x03\x04"):
        raise _unreadable("is an Excel workbook: save it as 'CSV UTF-8' first")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return io.TextIOWrapper(file, encoding="utf-16", newline="")
    # A byte that is no UTF-8 becomes half a surrogate pair, and its row is refused by that.
    return io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _rows(text: io.TextIOWrapper, wanted: tuple[str, ...]) -> Iterator[RawLead]:
    try:
        header, delimiter, row = _header(text)
    except UnicodeDecodeError:
        raise _unreadable("is not text: save it as 'CSV UTF-8'") from None
    layout = _Layout(_columns(header, wanted))
    reader = csv.reader(text, delimiter=delimiter)
    while True:
        row += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except UnicodeDecodeError:
            # UTF-16: the decoder has lost its place, nothing after this can be trusted.
            yield _refused(row, "is not text from here on: save the file as 'CSV UTF-8'")
            return
        except csv.Error as error:
            yield _refused(row, f"cannot be read: {error}")
            continue
        values = [cell.strip() for cell in cells]
        if any(values):
            yield _lead(row, values, layout)


def _header(text: io.TextIOWrapper) -> tuple[list[str], str, int]:
    """The header's cells, the delimiter, and the header's row number."""
    row, delimiter = 0, None
    while line := _record(text):
        row += 1
        bare = line.strip()
        if row == 1 and bare.lower().startswith("sep=") and len(bare) == 5:
            delimiter = bare[4]
        elif bare.strip(_DELIMITERS + " "):
            if unstorable(line):
                raise _unreadable("has a header that is not UTF-8 text: save it as 'CSV UTF-8'")
            delimiter = delimiter or max(_DELIMITERS, key=lambda d: _outside_quotes(line, d))
            return _split(line, delimiter), delimiter, row
    raise _unreadable("is empty: it needs a header line with a phone column, and leads")


def _record(text: io.TextIOWrapper) -> str:
    """The next line, with those that a quoted line break joins to it."""
    record = text.readline(MAX_FIELD)
    while record.count('"') % 2 and len(record) < MAX_FIELD and (more := text.readline(MAX_FIELD)):
        record += more
    return record


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(line.splitlines(keepends=True), delimiter=delimiter))
    except csv.Error as error:
        raise _unreadable(f"has a header that cannot be read: {error}") from None


def _outside_quotes(line: str, letter: str) -> int:
    return sum(part.count(letter) for part in line.split('"')[::2])


def _columns(header: list[str], wanted: tuple[str, ...]) -> list[Column | None]:
    if len(header) > MAX_COLUMNS:
        raise _unreadable(f"has more than {MAX_COLUMNS} columns")
    columns = [column_of(cell, wanted) for cell in header]
    if ContactColumn("phone", 0) not in columns:
        raise _unreadable(
            f"has no phone column; its columns are: {', '.join(c.strip() for c in header)[:300]}"
        )
    seen: dict[Column, str] = {}
    for column, cell in zip(columns, header, strict=True):
        if column is None:
            continue
        if column in seen:
            raise _unreadable(f"has two columns for the same: {seen[column]!r} and {cell!r}")
        if isinstance(column, ContactColumn) and column.position >= MAX_CONTACTS:
            raise _unreadable(f"has {cell!r}: a lead has {MAX_CONTACTS} contacts at most")
        seen[column] = cell
    return columns


class _Layout:
    """Where the cells of a row go; worked out once a file."""

    def __init__(self, columns: list[Column | None]) -> None:
        self.width = len(columns)
        contacts: dict[int, list[_Place]] = {}
        self._fields: list[_Place] = []
        self._variables: list[_Place] = []
        for index, column in enumerate(columns):
            match column:
                case ContactColumn(field, position):
                    contacts.setdefault(position, []).append((index, field))
                case LeadColumn(name):
                    self._fields.append((index, name))
                case VariableColumn(name):
                    self._variables.append((index, name))
                case None:
                    pass
        self._contacts = [(contacts[p], _labels(p)) for p in sorted(contacts)]

    def lead(self, row: int, values: list[str]) -> RawLead:
        """The lead of a row of stripped cells, as many as there are columns."""
        contacts = []
        for places, labels in self._contacts:
            if found := _filled(places, values):
                contacts.append(RawContact(found, labels))
        fields, variables = _filled(self._fields, values), _filled(self._variables, values)
        return RawLead(row, tuple(contacts), fields, variables)


_Place = tuple[int, str]  # a cell's index in its row, and what it is called


def _filled(places: list[_Place], values: list[str]) -> dict[str, object]:
    return {name: value for index, name in places if (value := values[index])}


def _lead(row: int, values: list[str], layout: _Layout) -> RawLead:
    if len(values) > layout.width and any(values[layout.width :]):
        return _refused(row, f"has {len(values)} cells, the header has {layout.width}")
    if unstorable("".join(values)):
        return _refused(row, "is not UTF-8 text: save the file as 'CSV UTF-8'")
    if len(values) < layout.width:
        values += [""] * (layout.width - len(values))
    return layout.lead(row, values)


def _labels(position: int) -> dict[str, str]:
    """What the file calls a contact's cells."""
    suffix = f"_{position + 1}" if position else ""
    return {field: f"{field}{suffix}" for field in get_args(ContactField)}


def _refused(row: int, message: str) -> RawLead:
    return RawLead(row, problem=FieldProblem("", f"this row {message}"))


def _unreadable(message: str) -> InvalidInput:
    return InvalidInput("The file cannot be imported.", (FieldProblem("file", message),))

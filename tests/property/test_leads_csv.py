"""Whatever is in a file: rows come out as they went in, or are refused; nothing breaks."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial.domain.errors import InvalidInput
from outdial.operations.lead_columns import VariableColumn, column_of, squash
from outdial.operations.read_leads_csv import read_leads_csv

pytestmark = pytest.mark.prop

# What a cell may hold: no surrogates, and no lone carriage return, which spreadsheets turn around.
CELL = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=20
).map(str.strip)


@given(
    table=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=10),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_rows_come_out_as_they_went_in(
    table: list[tuple[str, str]], delimiter: str, encoding: str, newline: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL)
    writer.writerow(["phone", "note", "id"])
    for number, (phone, note) in enumerate(table):
        writer.writerow([phone, note, f"r{number}"])
    read = list(read_leads_csv(io.BytesIO(text.getvalue().encode(encoding))))
    assert [lead.row for lead in read] == list(range(2, len(table) + 2))
    for (phone, note), lead, number in zip(table, read, range(len(table)), strict=True):
        assert lead.problem is None
        assert lead.fields == {"external_id": f"r{number}"}
        assert (lead.contacts[0].values.get("phone", "") if lead.contacts else "") == phone
        assert lead.variables.get("note", "") == note


@given(st.binary(max_size=300))
def test_no_file_brings_it_down(data: bytes) -> None:
    try:
        for lead in read_leads_csv(io.BytesIO(data)):
            assert lead.row >= 2
    except InvalidInput as refusal:
        assert refusal.problems[0].message  # noqa: PT017 - either is right


@given(st.binary(max_size=100).map(lambda rest: b"phone,name\n+12125550100,Ann\n" + rest))
def test_what_comes_after_a_good_row_does_not_take_it_away(data: bytes) -> None:
    first = next(iter(read_leads_csv(io.BytesIO(data))))
    assert first.row == 2


@given(st.text(max_size=30))
def test_a_header_is_read_the_same_however_it_is_written(header: str) -> None:
    assert squash(header) == squash(header.upper().lower()) or not header.isascii()
    column = column_of(header)
    if isinstance(column, VariableColumn):
        assert column.name.isidentifier()
        assert column_of(header, [column.name]) is not None

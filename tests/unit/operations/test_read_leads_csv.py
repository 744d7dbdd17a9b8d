"""CSV as spreadsheets write it."""

import io

import pytest

from outdial.domain.errors import InvalidInput
from outdial.operations.check_lead import RawLead
from outdial.operations.read_leads_csv import read_leads_csv

pytestmark = pytest.mark.unit


def rows(data: bytes | str, *wanted: str) -> list[RawLead]:
    encoded = data.encode() if isinstance(data, str) else data
    return list(read_leads_csv(io.BytesIO(encoded), wanted))


def refusal(data: bytes | str) -> str:
    with pytest.raises(InvalidInput) as caught:
        rows(data)
    return caught.value.problems[0].message


def phones(data: bytes | str) -> list[object]:
    return [lead.contacts[0].values["phone"] for lead in rows(data)]


@pytest.mark.parametrize(
    "data",
    [
        "phone,name\n+12125550100,Ann\n",
        "\ufeffphone,name\r\n+12125550100,Ann\r\n",
        "phone;name\n+12125550100;Ann\n",
        "phone\tname\n+12125550100\tAnn\n",
        "phone|name\n+12125550100|Ann",
        "sep=;\nphone;name\n+12125550100;Ann\n",
        "\n\nphone,name\n\n+12125550100,Ann\n\n",
        '"phone","name"\n"+12125550100","Ann"\n',
        "phone;name;a,b\n+12125550100;Ann;1\n",
        "phone,name\n+12125550100,Ann\n".encode("utf-16"),
    ],
)
def test_however_it_was_saved(data: bytes | str) -> None:
    (lead,) = rows(data)
    assert lead.contacts[0].values == {"phone": "+12125550100", "name": "Ann"}


@pytest.mark.parametrize(
    "header", ["Phone Number", "PHONE_NUMBER", "mobile", "Tel.", "to_number", "Telephone"]
)
def test_headers_by_other_names(header: str) -> None:
    assert phones(f"{header}\n+12125550100\n") == ["+12125550100"]


def test_contacts_in_their_order() -> None:
    (lead,) = rows("phone,name,phone_3,Name 2,Phone 2,timezone_2\n1,A,3,B,2,Europe/Paris\n")
    assert [dict(contact.values) for contact in lead.contacts] == [
        {"phone": "1", "name": "A"},
        {"name": "B", "phone": "2", "timezone": "Europe/Paris"},
        {"phone": "3"},
    ]
    assert lead.contacts[1].labels["phone"] == "phone_2"


def test_other_columns_are_variables() -> None:
    (lead,) = rows("phone,External ID,Order No.,Größe\n1,A-1,77,L\n")
    assert lead.fields == {"external_id": "A-1"}
    assert lead.variables == {"order_no": "77", "grosse": "L"}


def test_the_template_decides_how_a_variable_is_spelled() -> None:
    (lead,) = rows("phone,FirstName,Reference\n1,Ann,R7\n", "first_name", "reference")
    assert lead.variables == {"first_name": "Ann", "reference": "R7"}


def test_rows_are_numbered_as_a_spreadsheet_does() -> None:
    found = rows('phone,note\n1,"two\nlines"\n\n2,x\n3,y,too,many\n')
    assert [lead.row for lead in found] == [2, 4, 5]
    assert "4 cells" in (found[2].problem.message if found[2].problem else "")
    assert found[0].variables == {"note": "two\nlines"}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("", "is empty"),
        ("\ufeff", "is empty"),
        ("\n \n", "is empty"),
        ("name,town\nAnn,Rome\n", "no phone column; its columns are: name, town"),
        ("phone,Phone Number\n1,2\n", "two columns for the same"),
        ("phone,phone_11\n1,2\n", "10 contacts at most"),
        ("phone," + ",".join(f"c{n}" for n in range(600)), "500 columns"),
        (b"PK\x03\x04rest", "Excel workbook"),
        (b"phone,n\xe4me\n", "not UTF-8"),
    ],
)
def test_a_file_that_is_no_use(data: bytes | str, told: str) -> None:
    assert told in refusal(data)


def test_a_byte_that_is_no_text_costs_its_row_only() -> None:
    found = rows(b"phone,name\n1,Ann\n2,J\xf6rg\n3,Zoe\n")
    assert [lead.problem is None for lead in found] == [True, False, True]
    assert found[1].problem is not None
    assert "UTF-8" in found[1].problem.message


def test_a_cell_without_end_is_told_with_its_row() -> None:
    found = rows('phone,name\n1,Ann\n2,"' + "x" * 30_000 + "\n3,Bob\n")
    assert found[0].problem is None
    assert found[1].row == 3
    assert found[1].problem is not None


def test_the_file_stays_open_for_its_owner() -> None:
    file = io.BytesIO(b"phone\n1\n")
    list(read_leads_csv(file))
    assert not file.closed

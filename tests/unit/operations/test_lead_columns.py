"""Columns, and that the documentation names all of them."""

from pathlib import Path

import pytest

from outdial.operations.lead_columns import (
    SYNONYMS,
    ContactColumn,
    LeadColumn,
    VariableColumn,
    column_of,
    squash,
)

pytestmark = pytest.mark.unit


def test_every_synonym_is_documented() -> None:
    documented = Path("docs/csv.md").read_text(encoding="utf-8")
    for words in SYNONYMS.items():
        for word in (words[0], *words[1]):
            assert f"`{word}`" in documented, word


def test_no_word_means_two_things() -> None:
    words = [squash(word) for field, others in SYNONYMS.items() for word in (field, *others)]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("Phone", ContactColumn("phone", 0)),
        ("phone_1", ContactColumn("phone", 0)),
        ("Phone 2", ContactColumn("phone", 1)),
        ("MOBILE-3", ContactColumn("phone", 2)),
        ("name2", ContactColumn("name", 1)),
        ("Time Zone 2", ContactColumn("timezone", 1)),
        ("E-xternal ID", LeadColumn("external_id")),
        ("phone_0", VariableColumn("phone_0")),
        ("external_id_2", VariableColumn("external_id_2")),
        ("2nd order", VariableColumn("_2nd_order")),
        ("Straße", VariableColumn("strasse")),
        ("", None),
        ("!!!", None),
    ],
)
def test_headers(header: str, column: object) -> None:
    assert column_of(header) == column


def test_a_template_claims_a_synonym_but_never_a_plain_name() -> None:
    assert column_of("Ref", ["ref"]) == VariableColumn("ref")
    assert column_of("phone", ["phone"]) == ContactColumn("phone", 0)
    assert column_of("name", ["name"]) == ContactColumn("name", 0)

"""What an import says, and that its advice does not lead to calling anybody twice."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from outdial_cli.api_client import ApiClient
from outdial_cli.main import app
from outdial_cli.output import counted

pytestmark = pytest.mark.unit


@pytest.fixture
def leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUTDIAL_API_URL", "http://api.test")
    monkeypatch.setenv("OUTDIAL_API_KEY", "od_test")
    file = tmp_path / "leads.csv"
    file.write_text("phone\n+12125550100\n")
    return file


def said(monkeypatch: pytest.MonkeyPatch, leads: Path, created: int, refused: int) -> str:
    problem = {"status": "refused", "field": "phone", "message": "is missing"}
    done: dict[str, Any] = {
        "created": created,
        "duplicates": 0,
        "refused": refused,
        "results": [{"row": 2 + number, **problem} for number in range(refused)],
    }
    monkeypatch.setattr(ApiClient, "post_file", lambda *_args: done)
    ended = CliRunner().invoke(app, ["campaign", "import", "spring", str(leads)])
    assert ended.exit_code == (1 if refused else 0)
    return " ".join(ended.output.split())


def test_the_same_people_are_not_to_be_imported_again(
    monkeypatch: pytest.MonkeyPatch, leads: Path
) -> None:
    words = said(monkeypatch, leads, created=3, refused=2)
    assert "3 leads are in." in words
    assert "2 rows were refused. Mend and import them in a file of their own" in words
    assert "called a second time" in words


def test_a_file_of_which_nothing_is_in_may_come_again(
    monkeypatch: pytest.MonkeyPatch, leads: Path
) -> None:
    words = said(monkeypatch, leads, created=0, refused=1)
    assert "0 leads are in." in words
    assert "1 row was refused. Mend the file and import it again." in words


def test_one_lead(monkeypatch: pytest.MonkeyPatch, leads: Path) -> None:
    assert said(monkeypatch, leads, created=1, refused=0) == "1 lead is in."


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://api.test"])
def test_an_address_without_a_scheme(
    monkeypatch: pytest.MonkeyPatch, leads: Path, url: str
) -> None:
    monkeypatch.setenv("OUTDIAL_API_URL", url)
    ended = CliRunner().invoke(app, ["campaign", "import", "spring", str(leads)])
    assert ended.exit_code != 0
    assert f"OUTDIAL_API_URL is {url}" in ended.output + str(ended.exception)


def test_numbers_and_their_nouns() -> None:
    assert [counted(n, "lead") for n in (0, 1, 2)] == ["0 leads", "1 lead", "2 leads"]
    assert [counted(n, "was", "were") for n in (1, 2)] == ["1 was", "2 were"]

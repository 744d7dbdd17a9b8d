"""What the command says: refused requests, files' names, progress, percentiles."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from outdial_cli.api_client import explain
from outdial_cli.connection import connect
from outdial_cli.demo.collect import file_names, transcript_of
from outdial_cli.demo.summary import percentiles
from outdial_cli.failure import CommandFailedError
from outdial_cli.main import app
from outdial_cli.progress import describe
from outdial_cli.stack.front_door import one_request, port_for
from outdial_cli.stack.stack_file import StackInfo, write_stack_file
from outdial_cli.tables import show_rows

pytestmark = pytest.mark.unit


def test_a_refusal_names_each_field() -> None:
    problem = {
        "detail": "The request is not valid.",
        "errors": [{"field": "to_number", "message": "is not a phone number"}],
    }
    said = explain(httpx.Response(422, json=problem))
    assert said == "The request is not valid.\n  to_number: is not a phone number"


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "OUTDIAL_API_KEY"), (403, "higher role"), (502, "502")]
)
def test_a_refusal_says_what_to_do(status: int, hint: str) -> None:
    assert hint in explain(httpx.Response(status, text="<html>"))


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("OUTDIAL_API_URL", "OUTDIAL_API_KEY", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_without_a_stack_it_says_how_to_start_one(nowhere: Path) -> None:
    with pytest.raises(CommandFailedError, match="outdial up --sandbox"):
        connect()


def test_the_stack_of_the_folder_is_found(nowhere: Path) -> None:
    write_stack_file(
        nowhere / "var" / "run" / "stack.json", StackInfo("http://127.0.0.1:1", "od_k", "", "")
    )
    with connect() as api:
        assert api.url == "http://127.0.0.1:1"


def test_the_environment_goes_before_the_folder(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / ".env").write_text("OUTDIAL_API_URL=https://from.file\nOUTDIAL_API_KEY=od_f\n")
    with connect() as api:
        assert api.url == "https://from.file"
    monkeypatch.setenv("OUTDIAL_API_URL", "https://from.environment")
    with connect() as api:
        assert api.url == "https://from.environment"


@pytest.mark.parametrize(
    "words",
    [
        ["campaign", "create", "x"],
        ["call"],
        ["call", "+12125550100", "--var", "novalue"],
        ["up", "--media", "0"],
        ["nonsense"],
        ["key", "revoke", "no-id"],
    ],
)
def test_wrong_usage_is_exit_2(nowhere: Path, words: list[str]) -> None:
    write_stack_file(
        nowhere / "var" / "run" / "stack.json", StackInfo("http://127.0.0.1:1", "od_k", "", "")
    )
    assert CliRunner().invoke(app, words).exit_code == 2


def test_up_with_real_calls_names_what_is_missing(nowhere: Path) -> None:
    done = CliRunner().invoke(app, ["up"])
    assert isinstance(done.exception, CommandFailedError)
    assert "TWILIO_ACCOUNT_SID" in str(done.exception)
    assert "--sandbox" in str(done.exception)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], {"p50": None, "p95": None}),
        ([5.4], {"p50": 5, "p95": 5}),
        (range(1, 101), {"p50": 50, "p95": 95}),
        ([10, 30, 20], {"p50": 20, "p95": 30}),
    ],
)
def test_percentiles_are_the_nearest_rank(values: Any, found: dict[str, int | None]) -> None:
    assert percentiles(values) == found


def _call(number: str, lead: str | None = "l1") -> dict[str, Any]:
    return {"id": "c", "lead_id": lead, "to_number": number}


def test_files_are_named_after_the_lead_and_counted() -> None:
    leads = [{"id": "l1", "external_id": "A-024"}]
    calls = [_call("+16155550107"), _call("+16155550100"), _call("+1", lead="other")]
    assert file_names(calls, leads) == ["A-024_16155550107_1", "A-024_16155550100_2", "c_1_1"]


def test_a_transcript_reads_in_the_order_of_time() -> None:
    turn = {"interrupted": False, "started_at": "2026-01-01T10:00:02Z"}
    call = {
        "to_number": "+1",
        "outcome": "completed",
        "transcript": [
            {**turn, "role": "agent", "text": "Hello", "started_at": "2026-01-01T10:00:01Z"},
            {**turn, "role": "person", "text": "Yes", "interrupted": True},
        ],
        "tools": [
            {"name": "record_outcome", "arguments": {"a": 1}, "called_at": "2026-01-01T10:00:03Z"}
        ],
    }
    assert transcript_of(call).splitlines()[2:] == [
        "agent: Hello",
        "person: Yes [interrupted]",
        "    [record_outcome {'a': 1}]",
    ]


def test_a_campaign_in_a_few_lines() -> None:
    campaign = {
        "name": "reminders",
        "status": "running",
        "template": "t",
        "template_version": 2,
        "leads": {
            "total": 3,
            "states": {"backlog": 1, "active": 0, "retry": 0, "finished": 2},
            "outcomes": {"busy": 1, "completed": 1},
        },
        "refusals": {},
    }
    lines = describe(campaign)
    assert lines[0] == "reminders: running, template t version 2, 3 leads"
    assert "2 finished" in lines[1]
    assert "1 waiting" in lines[1]


@pytest.mark.parametrize(
    ("line", "port"),
    [
        (b"GET /pods/pod-2/ws/t/token HTTP/1.1", 2),
        (b"GET /pods/pod-2?x HTTP/1.1", 2),
        (b"GET /pods/pod-9/ws HTTP/1.1", 1),
        (b"POST /twilio/voice/x?u=/pods/pod-2/ HTTP/1.1", 1),
    ],
)
def test_the_front_door_tells_pods_from_the_gateway(line: bytes, port: int) -> None:
    assert port_for(line + b"\r\nHost: x\r\n\r\n", 1, {"pod-2": 2}) == port


def test_the_front_door_lets_one_connection_ask_once() -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nA: b\r\n\r\n"
    assert one_request(head) == b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nConnection: close\r\n\r\n"
    socket = b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert one_request(socket) == socket


def test_a_table_cuts_nothing_that_the_next_command_needs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = "01a1ffc5-acd1-754a-9c57-000000000001"
    row = {"id": key, "note": "words " * 30, "created_at": "2026-11-21T20:22:10.895468Z"}
    show_rows([row], ("id", "note", "created_at"), as_json=False, none="")
    said = capsys.readouterr().out
    assert key in said
    assert "…" not in said
    assert ".895468" not in said

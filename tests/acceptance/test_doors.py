"""The front doors of a running stack: REST as users meet it."""

import csv
import io
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from outdial_cli.api_client import ApiClient, Json
from outdial_cli.progress import is_done
from polling import wait_until

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(240),
]


Ended = Callable[[str], Json]


def test_dialout_answers_at_once_and_the_call_completes(
    http: httpx.Client, api: ApiClient, ended: Ended, tmp_path: Path
) -> None:
    answer = http.post("/dialout", json={"to_number": "+13125551300"})
    assert answer.status_code == 201
    call = ended(answer.json()["call_id"])
    assert call["outcome"] == "completed"

    file = tmp_path / "call.wav"
    wait_until(
        lambda: bool(api.get(f"/v1/calls/{call['attempt_id']}")["recordings"]), 20, "recorded"
    )
    api.download(f"/v1/calls/{call['attempt_id']}/recording", file)
    with wave.open(str(file)) as recording:
        assert (recording.getnchannels(), recording.getframerate()) == (2, 8000)
        assert recording.getnframes() > 8000


def test_the_same_idempotency_key_calls_once(
    http: httpx.Client, ledger: Callable[[], dict[str, Any]], ended: Ended
) -> None:
    body = {"to_number": "+13125551309"}
    answers = [
        http.post("/dialout", json=body, headers={"Idempotency-Key": "order-4711"})
        for _ in range(3)
    ]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["call_id"] for answer in answers}) == 1
    ended(answers[0].json()["call_id"])
    assert len([post for post in ledger()["posts"] if post["to"] == "+13125551309"]) == 1

    other = http.post(
        "/dialout", json={"to_number": "+13125551308"}, headers={"Idempotency-Key": "order-4711"}
    )
    assert other.status_code in {409, 422}


def test_a_campaign_from_csv_with_one_bad_row(
    api: ApiClient, http: httpx.Client, reminder: str
) -> None:
    rows = [f"L-{n:02},Person {n},+1415555{n:04},Lakeside,Monday" for n in range(2200, 2206)]
    rows[3] = "L-99,Nobody,not-a-number,Lakeside,Monday"
    text = "﻿external_id;name;Phone;clinic;appointment\r\n" + "\r\n".join(rows).replace(",", ";")
    api.post("/v1/campaigns", {"name": "from-csv", "template": reminder})
    answer = http.post(
        "/v1/campaigns/from-csv/leads", content=text.encode(), headers={"Content-Type": "text/csv"}
    )
    done = answer.json()
    assert (done["created"], done["refused"]) == (5, 1)
    assert [r["row"] for r in done["results"] if r["status"] == "refused"] == [5]

    api.post("/v1/campaigns/from-csv/start")
    wait_until(lambda: is_done(api, api.get("/v1/campaigns/from-csv")), 120, "the campaign is done")
    text = "".join(api.text("/v1/campaigns/from-csv/results.csv"))
    results = list(csv.DictReader(io.StringIO(text)))
    assert {row["external_id"]: row["outcome"] for row in results} == {
        "L-2200": "completed",
        "L-2201": "completed",
        "L-2202": "busy",
        "L-2204": "voicemail_left",
        "L-2205": "machine",
    }
    assert results[0]["result.status"] == "confirmed"


def test_a_suppressed_number_is_not_called(
    api: ApiClient, http: httpx.Client, ledger: Callable[[], dict[str, Any]]
) -> None:
    api.post("/v1/suppressions", {"phone": "+13125551401", "reason": "asked by letter"})
    answer = http.post("/v1/calls", json={"to_number": "+13125551401"})
    assert answer.status_code == 409
    assert not [post for post in ledger()["posts"] if post["to"] == "+13125551401"]


def test_an_unsigned_callback_changes_nothing(
    api: ApiClient, http: httpx.Client, ended: Ended
) -> None:
    call_id = http.post("/dialout", json={"to_number": "+13125551307"}).json()["call_id"]
    call = ended(call_id)
    form = {"CallSid": "CA" + "0" * 32, "CallStatus": "in-progress", "SequenceNumber": "9"}
    path = f"/twilio/callback/status/{call['attempt_id']}"
    for headers in ({}, {"X-Twilio-Signature": "bm90IHNpZ25lZA=="}):
        assert http.post(path, data=form, headers=headers).status_code == 403
    assert api.get(f"/v1/calls/{call['attempt_id']}")["events"] == call["events"]


def test_no_key_no_answer(http: httpx.Client, stack: Any) -> None:
    bare = httpx.get(f"{stack.info.api_url}/v1/calls", trust_env=False)
    assert bare.status_code == 401
    assert bare.headers["content-type"].startswith("application/problem+json")


def test_flower_shows_tasks_with_readable_names(stack: Any) -> None:
    def seen() -> set[str]:
        tasks = httpx.get(f"{stack.info.flower_url}/api/tasks?limit=50", trust_env=False).json()
        # One that was at work when Flower asked began before anybody told of it: it has no name.
        return {task["name"] for task in tasks.values() if task["received"]}

    names = wait_until(seen, what="Flower asked the worker to report its tasks")
    assert all(str(name).startswith("outdial.") for name in names)


@pytest.mark.parametrize("path", ["/", "/tasks", "/broker", "/api/tasks", "/api/workers"])
def test_flower_shows_nothing_to_who_has_no_password(stack: Any, path: str) -> None:
    bare = httpx.URL(stack.info.flower_url).copy_with(userinfo=b"", raw_path=path.encode())
    assert httpx.get(bare, trust_env=False).status_code == 401
    control = bare.copy_with(raw_path=b"/api/worker/shutdown/any")
    assert httpx.post(control, trust_env=False).status_code == 401

"""The carrier as a process, with the people that it really has."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.integration

TOKEN = "a-token"
SID = "AC" + "0f" * 16


def start(data: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "outdial_sandbox", "carrier", "--port", "0"]
    options = ["--data", str(data), "--account-sid", SID, "--auth-token", TOKEN, *more]
    return subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def carrier(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    faults = ("--fault", "callback_lost=0.25", "--fault", "callback_delay_seconds=90")
    quiet = ("--no-audio", "--talk-seconds", "0.5", "2", "--seed", "7")
    process = start(tmp_path, "--number", "+13035550199", *faults, *quiet)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        yield process, found[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def test_it_serves_until_it_is_asked_to_stop(carrier: tuple[subprocess.Popen[str], str]) -> None:
    process, url = carrier
    with httpx.Client(base_url=url, auth=(SID, TOKEN)) as http:
        assert http.get("/sandbox/health").json()["status"] == "ok"
        people = http.get("/sandbox/people").json()["people"]
        assert {"00", "03", "07", "25"} <= set(people)
        assert people["03"]["ring_seconds"] is None
        settings = http.get("/sandbox/settings").json()
        assert (settings["audio"], settings["talk_seconds"]) == (False, [0.5, 2.0])
        assert (settings["seed"], settings["faults"]["callback_lost"]) == (7, 0.25)
        assert settings["faults"]["callback_delay_seconds"] == 90
        numbers = http.get(f"/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers.json").json()
        owned = [number["phone_number"] for number in numbers["incoming_phone_numbers"]]
        assert {"+15005550006", "+13035550199"} <= set(owned)
        form = {"To": "+12125550107", "From": "+13035550199", "Twiml": "<Response/>"}
        refused = http.post(f"/2010-04-01/Accounts/{SID}/Calls.json", data=form)
        assert refused.json()["code"] == 21211
        form["To"] = "+12125550100"
        placed = http.post(f"/2010-04-01/Accounts/{SID}/Calls.json", data=form)
        assert placed.status_code == 201  # a live call does not keep it from stopping
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--account-sid", "nobody"], "--account-sid"),
        (["--calls-per-second", "0"], "calls_per_second"),
        (["--number", "12"], "E.164"),
        (["--fault", "callback_lots=0.1"], "callback_lost"),
        (["--fault", "callback_lost"], "NAME=SHARE"),
        (["--fault", "post_429=0.6", "--fault", "post_500=0.6"], "1 in all"),
        (["--talk-seconds", "3", "1"], "talk_seconds"),
        (["--after-refused-stream", "dance"], "continue, hangup, action"),
    ],
)
def test_wrong_usage_is_said_in_words(tmp_path: Path, more: list[str], named: str) -> None:
    process = start(tmp_path, *more)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert named in errors
    assert "Traceback" not in errors


def test_it_says_what_there_is() -> None:
    command = [sys.executable, "-m", "outdial_sandbox"]
    nothing = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert nothing.returncode == 2
    assert "carrier" in nothing.stderr

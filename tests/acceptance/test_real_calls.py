"""`outdial up` with keys of one's own: the sandbox stands outside, at the providers' addresses."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from outdial.settings import Settings
from outdial_cli.main import app
from outdial_cli.stack.options import StackOptions, StackPaths
from outdial_cli.stack.ports import free_ports
from outdial_cli.stack.sandbox_only import SandboxOnly, SandboxSettings
from outdial_cli.stack.stack import Stack

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(240),
]

Outdial = Callable[..., Result]
Environment = dict[str, str]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """The sandbox by itself, as `outdial sandbox` runs it; the environment that points at it."""
    carrier, providers, public = free_ports(3)
    account = SandboxSettings(carrier, providers, "AC" + "1" * 32, "its-token")
    with SandboxOnly(tmp_path_factory.mktemp("outside"), account):
        yield {
            "TWILIO_ACCOUNT_SID": account.account_sid,
            "TWILIO_AUTH_TOKEN": account.auth_token,
            "TWILIO_PHONE_NUMBER": "+15005550006",
            "TWILIO_API_BASE_URL": f"http://127.0.0.1:{carrier}",
            "DEEPGRAM_API_KEY": "deepgram-key",
            "DEEPGRAM_BASE_URL": f"http://127.0.0.1:{providers}",
            "GROQ_API_KEY": "groq-key",
            "GROQ_BASE_URL": f"http://127.0.0.1:{providers}",
            "PUBLIC_URL": f"http://127.0.0.1:{public}",
            "OUTDIAL_PORT": str(public),
        }


@pytest.fixture
def outdial(outside: Environment, tmp_path: Path) -> Iterator[Outdial]:
    """Run the command in a folder of its own, with the environment of a user with keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        for name, value in outside.items():
            patch.setenv(name, value)
        yield lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def findings(done: Result) -> dict[str, tuple[str, str]]:
    return {f["about"]: (f["grade"], f["says"]) for f in json.loads(done.stdout)["findings"]}


def test_a_call_through_the_front_door(outdial: Outdial, outside: Environment) -> None:
    """Gateway and pod are reached at one public address, as through one tunnel."""
    settings = Settings(_env_file=None)
    options = StackOptions(sandbox=False, media=1, durable=False, port=settings.port)
    with Stack(StackPaths.under(Path("var")), options, settings) as stack:
        done = outdial("call", "+12125551701")
        assert "Outcome: completed" in done.output, done.output

        report = findings(outdial("doctor", "--json"))
        assert {about for about, (grade, _) in report.items() if grade == "ok"} == {
            "Twilio", "Caller number", "Deepgram", "Groq", "Database", "Redis", "Media pods",
        }  # fmt: skip
        assert report["Public URL"][0] == "missing"  # not https
        assert stack.info.pods == [f"ws://127.0.0.1:{settings.port}/pods/pod-1"]


@pytest.mark.parametrize(
    ("name", "value", "about", "says"),
    [
        ("TWILIO_AUTH_TOKEN", "wrong", "Twilio", "do not fit together"),
        ("TWILIO_PHONE_NUMBER", "+14155559999", "Caller number", "not a number of this account"),
        ("TWILIO_PHONE_NUMBER", "", "Caller number", "is not set"),
        ("GROQ_MODEL", "no-such-model", "Groq", "no model no-such-model"),
        ("GROQ_API_KEY", "", "Groq", "is not set"),
        ("DEEPGRAM_API_KEY", "", "Deepgram", "is not set"),
        ("DEEPGRAM_BASE_URL", "http://127.0.0.1:9", "Deepgram", "cannot be reached"),
        ("TWILIO_API_BASE_URL", "http://127.0.0.1:9", "Twilio", "cannot be reached"),
        ("PUBLIC_URL", "", "Public URL", "is not set"),
        ("PUBLIC_URL", "https://127.0.0.1:9", "Public URL", "does not answer"),
        ("DATABASE_URL", "postgresql://u:p@127.0.0.1:9/x", "Database", "cannot be used"),
        ("REDIS_URL", "redis://127.0.0.1:9", "Redis", "cannot be used"),
        ("OUTDIAL_PORT", "many", "Settings", "OUTDIAL_PORT"),
    ],
)
def test_the_doctor_says_what_is_missing(
    outdial: Outdial, monkeypatch: pytest.MonkeyPatch, name: str, value: str, about: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    done = outdial("doctor", "--json")
    assert done.exit_code == 1
    grade, said = findings(done)[about]
    assert grade == "missing"
    assert says in said


def test_the_doctor_in_words_for_people(outdial: Outdial) -> None:
    done = outdial("doctor")
    assert done.exit_code == 1
    assert "MISSING Media pods" in done.output
    assert "outdial up" in done.output
    assert "groq-key" not in done.output

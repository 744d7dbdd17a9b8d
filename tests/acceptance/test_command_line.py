"""The command line against a running stack."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from outdial_cli.api_client import ApiClient
from outdial_cli.failure import CommandFailedError
from outdial_cli.main import app
from outdial_cli.stack.stack import Stack

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(240),
]

EXAMPLES = Path(__file__).parents[2] / "examples"
Outdial = Callable[..., Result]


@pytest.fixture
def outdial(stack: Stack, tmp_path: Path) -> Iterator[Outdial]:
    """Run the command, away from any stack but this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setenv("OUTDIAL_API_URL", stack.info.api_url)
        patch.setenv("OUTDIAL_API_KEY", stack.info.api_key)
        patch.setenv("COLUMNS", "200")
        yield lambda *words, **given: CliRunner().invoke(
            app, [str(word) for word in words], **given
        )


def test_a_call_is_followed_to_its_outcome(outdial: Outdial) -> None:
    done = outdial("call", "+16465551501")
    assert done.exit_code == 0, done.output
    assert "agent:" in done.output
    assert "Outcome: completed" in done.output


def test_a_call_for_machines(outdial: Outdial) -> None:
    done = outdial("call", "+16465551502", "--json")
    assert json.loads(done.stdout)["outcome"] == "busy"


def test_a_campaign_from_a_file_to_results(outdial: Outdial, api: ApiClient) -> None:
    leads = Path("leads.csv")
    leads.write_text(
        "external_id,name,phone,shop,item\n"
        "O-1,Amir,+16465551600,Amelia's,a lamp\n"
        "O-2,Doris,+16465551613,Amelia's,a rug\n"
    )
    template = EXAMPLES / "templates" / "order-follow-up.yaml"
    for words in (
        ("template", "add", template),
        ("campaign", "create", "orders-cli", "--template", "order-follow-up"),
        ("campaign", "import", "orders-cli", leads),
        ("campaign", "start", "orders-cli"),
        ("campaign", "watch", "orders-cli"),
        ("campaign", "status", "orders-cli"),
    ):
        done = outdial(*words)
        assert done.exit_code == 0, done.output
    exported = outdial("campaign", "export", "orders-cli")
    rows = list(csv.DictReader(io.StringIO(exported.stdout)))
    assert {row["external_id"]: row["outcome"] for row in rows} == {
        "O-1": "completed",
        "O-2": "opted_out",
    }
    piped = outdial("campaign", "import", "orders-cli", "-", "--json", input=leads.read_bytes())
    again = json.loads(piped.stdout)
    assert len(list(api.pages("/v1/campaigns/orders-cli/leads"))) == 2, again


def test_what_the_api_refuses_is_said_in_words(outdial: Outdial) -> None:
    done = outdial("campaign", "create", "x", "--template", "no-such-template")
    assert isinstance(done.exception, CommandFailedError)
    assert "no template no-such-template" in str(done.exception)
    done = outdial("call", "not-a-number")
    assert isinstance(done.exception, CommandFailedError)
    assert "to_number" in str(done.exception)


def test_keys_are_made_and_revoked(outdial: Outdial) -> None:
    made = json.loads(outdial("key", "create", "reporting", "--role", "viewer", "--json").stdout)
    assert made["key"].startswith("od_")
    listed = json.loads(outdial("key", "list", "--json").stdout)
    assert made["id"] in {key["id"] for key in listed}
    assert made["key"] not in json.dumps(listed)
    assert outdial("key", "revoke", made["id"]).exit_code == 0


def test_lists(outdial: Outdial) -> None:
    assert outdial("number", "add", "+14155550191", "--label", "West").exit_code == 0
    assert "+14155550191" in outdial("number", "list").output
    outdial("number", "sync")  # what the sandbox's account owns
    assert "+12025550192" in outdial("number", "list").output
    assert "Added: 0." in outdial("number", "sync").output
    assert outdial("suppress", "add", "+16465551799").exit_code == 0
    assert "+16465551799" in outdial("suppress", "list").output
    assert "default" in outdial("template", "list").output

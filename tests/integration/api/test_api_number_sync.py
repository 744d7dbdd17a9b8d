"""The numbers of the carrier's account come into the pool, as often as one likes."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gateway_client import client_of
from outdial.operations.runtime import Runtime
from outdial.settings import Settings
from outdial.storage import numbers
from outdial.telephony.twilio_client import TwilioCarrier

pytestmark = pytest.mark.integration

OURS, NEW, NAMED, TEXTS = "+12025550100", "+12025550101", "+12025550102", "+12025550103"
SETTING = "+15005550006"  # TWILIO_PHONE_NUMBER, which is in the pool by itself


def owned(phone: str, name: str, voice: bool = True) -> dict[str, Any]:
    """`api.v2010.account.incoming_phone_number`, as far as anybody looks at it."""
    return {"phone_number": phone, "friendly_name": name, "capabilities": {"voice": voice}}


class Account(BaseHTTPRequestHandler):
    """Lists its numbers, one a page, with Twilio's fields for the next one."""

    numbers: tuple[dict[str, Any], ...] = ()
    status = 200

    def do_GET(self) -> None:
        page = int(self.path.partition("Page=")[2].partition("&")[0] or 0)
        path = f"/2010-04-01/Accounts/{self.path.split('/')[3]}/IncomingPhoneNumbers.json"
        more = page + 1 < len(self.numbers)
        body = {
            "incoming_phone_numbers": self.numbers[page : page + 1],
            "next_page_uri": f"{path}?PageSize=1&Page={page + 1}" if more else None,
        }
        text = json.dumps(body if self.status == 200 else {"code": 20003, "message": "no"})
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def account(stores: Runtime, settings: Settings) -> Iterator[type[Account]]:
    """The account that the gateway asks; what it owns is set by the test."""
    kind = type("OneAccount", (Account,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    carrier = TwilioCarrier(settings.model_copy(update={"twilio_api_base_url": url}))
    before = stores.carrier
    object.__setattr__(stores, "carrier", carrier)
    yield kind
    object.__setattr__(stores, "carrier", before)
    carrier.close()
    server.shutdown()
    server.server_close()
    thread.join()


async def test_new_numbers_are_added_once(api: httpx.AsyncClient, account: type[Account]) -> None:
    assert (await api.post("/v1/numbers", json={"phone": OURS})).status_code == 201
    assert (await api.post("/v1/numbers", json={"phone": "+12025550199"})).status_code == 201
    account.numbers = (
        owned(NAMED, "Front desk"),
        owned(OURS, "(202) 555-0100"),
        owned(NEW, "(202) 555-0101"),
        owned(TEXTS, "Texts", voice=False),
    )
    answer = await api.post("/v1/numbers/sync")
    assert answer.status_code == 200, answer.text
    rest = {"no_voice": [TEXTS], "not_in_account": ["+12025550199", SETTING]}
    assert answer.json() == {"added": [NEW, NAMED], "known": [OURS], **rest}
    again = (await api.post("/v1/numbers/sync")).json()
    assert again == {"added": [], "known": [OURS, NEW, NAMED], **rest}
    listed = {
        item["phone"]: item["label"] for item in (await api.get("/v1/numbers")).json()["items"]
    }
    assert listed == {
        OURS: None,
        NEW: None,
        NAMED: "Front desk",
        "+12025550199": None,
        SETTING: "TWILIO_PHONE_NUMBER",
    }


async def test_one_that_was_set_aside_stays_so(
    api: httpx.AsyncClient, account: type[Account], stores: Runtime
) -> None:
    await api.post("/v1/numbers", json={"phone": OURS})
    async with stores.sessions.begin() as session:
        await numbers.set_aside(session, OURS, "21210")
    account.numbers = (owned(OURS, ""),)
    assert (await api.post("/v1/numbers/sync")).json()["known"] == [OURS]
    assert (await api.get(f"/v1/numbers/{OURS}")).json()["status"] == "set_aside"


async def test_a_carrier_that_does_not_answer_changes_nothing(
    api: httpx.AsyncClient, account: type[Account]
) -> None:
    account.status = 500
    answer = await api.post("/v1/numbers/sync")
    assert (answer.status_code, "does not list" in answer.json()["detail"]) == (503, True)
    pool = (await api.get("/v1/numbers")).json()["items"]
    assert [item["phone"] for item in pool] == [SETTING]


async def test_a_viewer_may_not(app: FastAPI, stores: Runtime, account: type[Account]) -> None:
    async with await client_of(app, stores, "viewer") as viewer:
        assert (await viewer.post("/v1/numbers/sync")).status_code == 403

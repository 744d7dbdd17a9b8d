"""Single calls: asked for once, followed, ended; and what an opt-out does to those that go on."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from outdial.domain.attempt_state import AttemptState
from outdial.operations.runtime import Runtime
from outdial.operations.suppress_number import suppress
from outdial.settings import Settings
from outdial.storage import attempts, call_events, leads, recordings, transcripts
from outdial.storage.ids import new_id
from outdial.storage.tables import Attempt
from outdial.telephony.dial_result import NotUpdated, Updated, UpdateResult
from sqlalchemy import text

pytestmark = pytest.mark.integration

PHONE = "+12125550100"


class Carrier:
    """Ends calls, and remembers which."""

    def __init__(self, *, away: bool = False) -> None:
        self.ended: list[str] = []
        self.away = away

    async def end_call(self, sid: str) -> UpdateResult:
        self.ended.append(sid)
        return NotUpdated("away") if self.away else Updated()


@pytest.fixture
def carrier(app: FastAPI, stores: Runtime) -> Carrier:
    """A carrier in place of Twilio's client."""
    carrier = Carrier()
    object.__setattr__(stores, "carrier", carrier)
    return carrier


async def ask(api: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    answer = await api.post("/v1/calls", json={"to_number": PHONE, **more})
    assert answer.status_code == 201, answer.text
    call: dict[str, Any] = answer.json()
    return call


async def attempt_for(
    stores: Runtime, lead_id: str, state: AttemptState, sid: str | None = None
) -> uuid.UUID:
    """An attempt of this lead, as a claim and a dial would have left it."""
    async with stores.sessions.begin() as session:
        lead = await leads.get(session, uuid.UUID(lead_id))
        assert lead is not None
        contact = (await leads.contacts_of(session, [lead.id]))[lead.id][0]
        attempt = Attempt(
            id=new_id(),
            lead_id=lead.id,
            contact_id=contact.id,
            campaign_id=lead.campaign_id,
            template_id=lead.template_id,
            phone=contact.phone,
            caller_number="+14155550199",
            state=state,
            intent_at=None if state == AttemptState.QUEUED else datetime.now(UTC),
            call_sid=sid,
        )
        session.add(attempt)
        await session.flush()
        assert await leads.activate(session, lead.id, attempt.id)
    return attempt.id


async def read(stores: Runtime, attempt_id: uuid.UUID) -> Attempt:
    async with stores.sessions() as session:
        found = await attempts.get(session, attempt_id)
    assert found is not None
    return found


async def test_dialout_answers_with_the_call_at_once(api: httpx.AsyncClient) -> None:
    answer = await api.post("/dialout", json={"to_number": PHONE, "from_number": "+14155550199"})
    assert answer.status_code == 201
    call = answer.json()
    assert call["call_id"] == call["id"]
    found = (await api.get(f"/v1/calls/{call['id']}")).json()
    assert (found["state"], found["to_number"]) == ("waiting", PHONE)
    assert found["from_number"] == "+14155550199"
    assert found["template"] == "default"
    assert found["attempt_ids"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"to_number": "5551234"}, "to_number"),
        ({"to_number": PHONE, "from_number": "x"}, "from_number"),
        ({"to_number": PHONE, "contacts": [{"phone": PHONE}]}, ""),
        ({"contacts": []}, "contacts"),
        ({"to_number": PHONE, "template_version": 0}, "template_version"),
        ({"to_number": PHONE, "variables": {"a": [1]}}, None),
        ({"to_number": PHONE, "variables": {"a": "\0"}}, "variables.a"),
        ({"to_number": PHONE, "name": "\0"}, "name"),
        ({"to_number": PHONE, "timezone": "Mars/Olympus"}, "timezone"),
        ({"to_number": PHONE, "not_before": "2030-01-01T00:00:00"}, "not_before"),
        ({"to_number": PHONE, "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"to_number": PHONE, "to": PHONE}, "to"),
    ],
)
async def test_calls_that_do_not_hold(
    api: httpx.AsyncClient, body: dict[str, Any], field: str | None
) -> None:
    answer = await api.post("/v1/calls", json=body)
    assert answer.status_code == 422, answer.text
    if field is not None:
        assert field in [error["field"] for error in answer.json()["errors"]]


async def test_a_call_brings_what_its_template_names(api: httpx.AsyncClient, template: str) -> None:
    bare = await api.post("/v1/calls", json={"to_number": PHONE, "template": template})
    assert bare.status_code == 422
    assert bare.json()["errors"][0]["field"] == "clinic"
    call = await ask(api, template=template, name="Ann", variables={"clinic": "Lakeside"})
    campaigns = (await api.get("/v1/campaigns")).json()["items"]
    assert [one["name"] for one in campaigns] == ["_calls:visit"]
    assert campaigns[0]["status"] == "running"
    assert call["campaign_id"] == campaigns[0]["id"]
    assert (await api.post("/v1/campaigns/_calls:visit/cancel")).status_code == 409
    missing = await api.post("/v1/calls", json={"to_number": PHONE, "template": "none"})
    assert missing.status_code == 404


async def test_many_first_calls_at_once_make_one_campaign(
    api: httpx.AsyncClient, stores: Runtime
) -> None:
    bodies = [{"to_number": f"+1212555{number:04}"} for number in range(100, 120)]
    answers = await asyncio.gather(*(api.post("/v1/calls", json=body) for body in bodies))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["campaign_id"] for answer in answers}) == 1


class TestOnce:
    """Idempotency-Key."""

    async def test_the_same_request_is_one_call(
        self, api: httpx.AsyncClient, stores: Runtime
    ) -> None:
        key = {"Idempotency-Key": "order-1"}
        first = await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        again = await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        assert again.json() == first.json()
        assert again.status_code == first.status_code == 201
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert await count_leads(stores) == 1

    async def test_another_request_with_the_key_is_refused(self, api: httpx.AsyncClient) -> None:
        key = {"Idempotency-Key": "order-1"}
        await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        other = await api.post("/v1/calls", json={"to_number": "+12125550101"}, headers=key)
        assert other.status_code == 422
        elsewhere = await api.post("/dialout", json={"to_number": PHONE}, headers=key)
        assert elsewhere.status_code == 422

    async def test_a_hundred_at_once_are_one_call(
        self, api: httpx.AsyncClient, stores: Runtime
    ) -> None:
        key = {"Idempotency-Key": "race"}
        answers = await asyncio.gather(
            *(api.post("/v1/calls", json={"to_number": PHONE}, headers=key) for _ in range(40))
        )
        assert {answer.status_code for answer in answers} <= {201, 409}
        made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
        assert len(made) == 1
        assert await count_leads(stores) == 1

    async def test_a_key_belongs_to_its_owner(
        self, app: FastAPI, stores: Runtime, api: httpx.AsyncClient
    ) -> None:
        made = (await api.post("/v1/keys", json={"name": "other"})).json()["key"]
        key = {"Idempotency-Key": "mine"}
        await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        other = {**key, "Authorization": f"Bearer {made}"}
        answer = await api.post("/v1/calls", json={"to_number": "+12125550101"}, headers=other)
        assert answer.status_code == 201

    async def test_a_process_that_died_after_its_commit_made_one_call(
        self, api: httpx.AsyncClient, stores: Runtime
    ) -> None:
        key = {"Idempotency-Key": "died"}
        first = await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        async with stores.sessions.begin() as session:  # as it was before the answer was kept
            await session.execute(
                text(
                    "UPDATE idempotency_keys SET status = NULL, body = NULL, "
                    "lease_until = now() + interval '1 minute'"
                )
            )
        at_work = await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        assert at_work.status_code == 409
        assert at_work.headers["retry-after"]
        async with stores.sessions.begin() as session:
            await session.execute(text("UPDATE idempotency_keys SET lease_until = now()"))
        again = await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        assert again.status_code == 201
        assert again.json()["id"] == first.json()["id"]
        assert await count_leads(stores) == 1

    async def test_a_refused_request_gives_its_key_back(
        self, api: httpx.AsyncClient, template: str
    ) -> None:
        key = {"Idempotency-Key": "mend"}
        body = {"to_number": PHONE, "template": "later"}
        assert (await api.post("/v1/calls", json=body, headers=key)).status_code == 404
        agent = {"name": "A", "greeting": "Hi", "prompt": "Ask."}
        await api.post("/v1/templates", json={"slug": "later", "agent": agent})
        assert (await api.post("/v1/calls", json=body, headers=key)).status_code == 201

    async def test_after_seven_days_a_key_is_new(
        self, api: httpx.AsyncClient, stores: Runtime
    ) -> None:
        key = {"Idempotency-Key": "old"}
        first = await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        async with stores.sessions.begin() as session:
            await session.execute(
                text("UPDATE idempotency_keys SET created_at = now() - interval '7 days 1 second'")
            )
        second = await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        assert second.json()["id"] != first.json()["id"]

    @pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9"])
    async def test_keys_that_are_none(self, api: httpx.AsyncClient, key: str) -> None:
        headers = [(b"Idempotency-Key", key.encode("latin-1"))]
        answer = await api.post("/v1/calls", json={"to_number": PHONE}, headers=headers)
        assert answer.status_code == 422


async def count_leads(stores: Runtime) -> int:
    async with stores.sessions() as session:
        return await session.scalar(text("SELECT count(*) FROM leads")) or 0


class TestEnding:
    """Hanging up, and opting out."""

    async def test_a_call_that_waits_is_not_dialed(self, api: httpx.AsyncClient) -> None:
        call = await ask(api)
        ended = (await api.post(f"/v1/calls/{call['id']}/hangup")).json()
        assert (ended["state"], ended["outcome"]) == ("ended", "canceled")

    async def test_one_that_waits_to_be_tried_again_is_called_off(
        self, api: httpx.AsyncClient, stores: Runtime, carrier: Carrier
    ) -> None:
        call = await ask(api)
        attempt_id = await attempt_for(stores, call["id"], AttemptState.RINGING, "CA1")
        async with stores.sessions.begin() as session:
            lead_id = uuid.UUID(call["id"])
            await session.execute(
                text(
                    "UPDATE attempts SET state = 'ended', ended_at = now(), spent = true, "
                    "outcome = 'busy'"
                )
            )
            await leads.schedule(session, lead_id, 0, datetime.now(UTC))
        assert (await api.post(f"/v1/calls/{attempt_id}/hangup")).status_code == 409
        ended = (await api.post(f"/v1/calls/{call['id']}/hangup")).json()
        assert ended["lead"]["outcome"] == "canceled"

    async def test_a_queued_one_can_no_longer_be_dialed(
        self, api: httpx.AsyncClient, stores: Runtime, carrier: Carrier
    ) -> None:
        call = await ask(api)
        attempt_id = await attempt_for(stores, call["id"], AttemptState.QUEUED)
        assert (await api.post(f"/v1/calls/{call['id']}/hangup")).status_code == 200
        async with stores.sessions.begin() as session:
            assert not await attempts.begin_dialing(session, attempt_id)
            events = await call_events.of_attempt(session, attempt_id)
        assert [(event.source, event.kind) for event in events] == [("operator", "stopped")]
        assert carrier.ended == []

    async def test_a_live_one_is_hung_up_once_the_plan_is_committed(
        self, api: httpx.AsyncClient, stores: Runtime, carrier: Carrier
    ) -> None:
        call = await ask(api)
        attempt_id = await attempt_for(stores, call["id"], AttemptState.IN_PROGRESS, "CA1")
        answer = (await api.post(f"/v1/calls/{attempt_id}/hangup")).json()
        assert carrier.ended == ["CA1"]
        assert answer["stop_reason"] == "canceled"
        assert (await read(stores, attempt_id)).plan == "hangup"

    async def test_one_without_a_sid_is_left_to_who_learns_it(
        self, api: httpx.AsyncClient, stores: Runtime, carrier: Carrier
    ) -> None:
        call = await ask(api)
        attempt_id = await attempt_for(stores, call["id"], AttemptState.DIALING)
        assert (await api.post(f"/v1/calls/{attempt_id}/hangup")).status_code == 200
        attempt = await read(stores, attempt_id)
        assert (attempt.stop_reason, attempt.plan) == ("canceled", "hangup")
        assert carrier.ended == []

    async def test_a_carrier_that_is_away_is_not_the_callers_fault(
        self, api: httpx.AsyncClient, stores: Runtime, carrier: Carrier
    ) -> None:
        carrier.away = True
        call = await ask(api)
        attempt_id = await attempt_for(stores, call["id"], AttemptState.RINGING, "CA1")
        assert (await api.post(f"/v1/calls/{attempt_id}/hangup")).status_code == 200
        assert (await read(stores, attempt_id)).stop_reason == "canceled"

    async def test_opting_out_cuts_every_other_call_to_the_number(
        self, api: httpx.AsyncClient, stores: Runtime, carrier: Carrier
    ) -> None:
        call = await ask(api)
        attempt_id = await attempt_for(stores, call["id"], AttemptState.RINGING, "CA1")
        answer = await api.post("/v1/suppressions", json={"phone": PHONE, "reason": "by letter"})
        assert answer.status_code == 201
        attempt = await read(stores, attempt_id)
        assert (attempt.stop_reason, attempt.plan) == ("opted_out", "hangup")
        assert carrier.ended == ["CA1"]
        again = await api.post("/v1/calls", json={"to_number": PHONE})
        assert again.status_code == 409

    async def test_the_call_in_which_it_was_said_goes_on_to_its_goodbye(
        self, api: httpx.AsyncClient, stores: Runtime, carrier: Carrier
    ) -> None:
        call = await ask(api)
        attempt_id = await attempt_for(stores, call["id"], AttemptState.IN_PROGRESS, "CA1")
        assert await suppress(stores, PHONE, "said so", "call", attempt_id)
        assert not await suppress(stores, PHONE, "said so", "call", attempt_id)
        attempt = await read(stores, attempt_id)
        assert (attempt.stop_reason, attempt.plan) == (None, "conversation")
        assert carrier.ended == []

    @pytest.mark.parametrize("first", ["dial", "suppress"])
    async def test_no_attempt_turns_dialing_after_the_suppression(
        self, api: httpx.AsyncClient, stores: Runtime, carrier: Carrier, first: str
    ) -> None:
        """Both take the number's lock: whichever commits first, nobody is called afterwards."""
        call = await ask(api)
        attempt_id = await attempt_for(stores, call["id"], AttemptState.QUEUED)
        async with stores.sessions.begin() as session:
            if first == "dial":
                assert await attempts.begin_dialing(session, attempt_id)
            racing = asyncio.create_task(suppress(stores, PHONE, "said so", "api"))
            await asyncio.sleep(0)
        await racing
        async with stores.sessions.begin() as session:
            assert not await attempts.begin_dialing(session, attempt_id)
        assert (await read(stores, attempt_id)).stop_reason == "opted_out"

    async def test_canceling_a_campaign_stops_what_is_queued_and_spares_what_talks(
        self, api: httpx.AsyncClient, stores: Runtime, carrier: Carrier, campaign: str
    ) -> None:
        rows = [
            {"phone": f"+1212555{n:04}", "name": "A", "variables": {"clinic": "L"}}
            for n in range(100, 103)
        ]
        await api.post("/v1/campaigns/autumn/leads", json=rows)
        items = (await api.get("/v1/campaigns/autumn/leads")).json()["items"]
        queued = await attempt_for(stores, items[0]["id"], AttemptState.QUEUED)
        talks = await attempt_for(stores, items[1]["id"], AttemptState.IN_PROGRESS, "CA1")
        answer = (await api.post("/v1/campaigns/autumn/cancel")).json()
        assert answer["live_calls"] == 2
        assert (await read(stores, queued)).stop_reason == "canceled"
        assert (await read(stores, talks)).stop_reason is None
        assert carrier.ended == []
        await api.post("/v1/campaigns/autumn/cancel?live=hangup")
        assert carrier.ended == ["CA1"]


async def test_everything_about_a_call(api: httpx.AsyncClient, stores: Runtime) -> None:
    call = await ask(api)
    attempt_id = await attempt_for(stores, call["id"], AttemptState.IN_PROGRESS, "CA1")
    async with stores.sessions.begin() as session:
        await transcripts.save_turn(session, attempt_id, 1, 0, role="agent", text="Hello")
        await transcripts.save_turn(
            session, attempt_id, 1, 1, role="person", text="Yes", latency_ms=700
        )
        await transcripts.save_tool_call(
            session, attempt_id, 1, call_id="t1", name="end_call", arguments={}
        )
        await recordings.save(session, attempt_id, "RE1", url="x", status="completed", channels=2)
    for known in (call["id"], str(attempt_id)):
        found = (await api.get(f"/v1/calls/{known}")).json()
        assert found["id"] == known
        assert found["attempt_id"] == str(attempt_id)
        assert [turn["text"] for turn in found["transcript"]] == ["Hello", "Yes"]
        assert [tool["name"] for tool in found["tools"]] == ["end_call"]
        assert found["recordings"][0]["recording_sid"] == "RE1"
        assert "url" not in found["recordings"][0]
        assert found["latencies"]["replies_ms"] == [700]
        assert found["lead"]["contacts"][0]["phone"] == PHONE
    listed = (await api.get("/v1/calls?live=true")).json()["items"]
    assert [one["id"] for one in listed] == [str(attempt_id)]


class _Wav(BaseHTTPRequestHandler):
    seen: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        body = b"RIFF" + b"\0" * 100_000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
async def shelf(settings: Settings) -> AsyncIterator[tuple[str, list[tuple[str, str | None]]]]:
    """A carrier's shelf of recordings: its address, and what was asked of it."""
    seen: list[tuple[str, str | None]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Wav", (_Wav,), {"seen": seen}))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_recording_behind_our_own_door(
    app: FastAPI,
    stores: Runtime,
    api: httpx.AsyncClient,
    settings: Settings,
    shelf: tuple[str, list[tuple[str, str | None]]],
) -> None:
    address, seen = shelf
    there = settings.model_copy(update={"twilio_api_base_url": address})
    object.__setattr__(stores, "settings", there)
    call = await ask(api)
    attempt_id = await attempt_for(stores, call["id"], AttemptState.IN_PROGRESS, "CA1")
    path = f"/v1/calls/{attempt_id}/recording"
    assert (await api.get(path)).status_code == 404
    folder = f"/2010-04-01/Accounts/{settings.twilio_account_sid}/Recordings/"
    for url, status in [
        (f"http://169.254.169.254{folder}RE1", 404),
        (address + folder + "RE1", 200),
    ]:
        async with stores.sessions.begin() as session:
            await session.execute(text("DELETE FROM recordings"))
            await recordings.save(session, attempt_id, "RE1", url=url, status="completed")
        answer = await api.get(path)
        assert answer.status_code == status, url
    assert answer.headers["content-type"] == "audio/x-wav"
    assert answer.content.startswith(b"RIFF")
    assert len(answer.content) == 100_004
    assert [asked for asked, _ in seen] == [f"{folder}RE1.wav?RequestedChannels=2"]
    assert (await api.get(path, headers={"Authorization": ""})).status_code == 401

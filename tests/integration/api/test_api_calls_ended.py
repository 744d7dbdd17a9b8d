"""Calls that are ended by an operator or by an opt-out; what that does to those that go on."""

import asyncio
import uuid
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api_calls_world import PHONE, ask, attempt_for, read
from outdial.domain.attempt_state import AttemptState
from outdial.operations.runtime import Runtime
from outdial.operations.suppress_number import suppress
from outdial.storage import attempts, call_events, leads
from outdial.telephony.dial_result import NotUpdated, Updated, UpdateResult

pytestmark = pytest.mark.integration


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

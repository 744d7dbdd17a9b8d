"""Faults of callbacks and POSTs, as a customer with Twilio's SDK meets them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import requests
from twilio.base.exceptions import TwilioRestException

from carrier_world import ANYONE, Carrier, Customer, Somebody
from outdial_sandbox.carrier.faults import Faults, callback_fate, chance, post_fault
from outdial_sandbox.people.behaviour import Answer

pytestmark = pytest.mark.integration

ALL_EVENTS = ["initiated", "ringing", "answered", "completed"]
ATTEMPT = "0190b0c0-1111-7222-8333-444455556666"


@pytest.fixture
async def http(carrier: Carrier) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=carrier.url) as client:
        yield client


async def reported_call(carrier: Carrier, customer: Customer, **options: Any) -> Any:
    """A call whose four events are asked for."""
    return await carrier.call(
        twiml="<Response/>",
        status_callback=f"{customer.url}/status",
        status_callback_event=ALL_EVENTS,
        **options,
    )


def numbers(customer: Customer) -> list[str]:
    return [item.form["SequenceNumber"] for item in customer.seen.items]


async def test_a_lost_callback_is_never_sent(carrier: Carrier, customer: Customer) -> None:
    carrier.change(faults={"callback_lost": 1})
    call = await reported_call(carrier, customer)
    entry = await carrier.over(call.sid)
    await carrier.quiet()
    assert customer.paths() == []
    assert {item["result"] for item in entry["webhooks"]} == {"lost: a fault of the sandbox's"}
    assert [item["event"] for item in entry["webhooks"]] == ALL_EVENTS
    assert carrier.ledger()["faults"] == {"callback_lost": 4}


async def test_a_doubled_callback_comes_twice_with_one_token(
    carrier: Carrier, customer: Customer
) -> None:
    carrier.change(faults={"callback_doubled": 1})
    await reported_call(carrier, customer)
    await customer.asked("/status", 8)
    await carrier.quiet()
    assert numbers(customer) == ["0", "0", "1", "1", "2", "2", "3", "3"]
    tokens = [item.headers["i-twilio-idempotency-token"] for item in customer.seen.items]
    assert len(set(tokens)) == 4
    assert tokens[0] == tokens[1]
    assert carrier.ledger()["faults"] == {"callback_doubled": 4}


async def test_a_reordered_callback_is_overtaken_by_the_next(
    carrier: Carrier, customer: Customer
) -> None:
    # A seed by which, of the four, the first alone is reordered.
    faults = Faults(callback_reordered=0.5)
    seed = next(
        seed
        for seed in range(1000)
        if [callback_fate(faults, seed, f"{ANYONE}/0", "status", n).reordered for n in range(4)]
        == [True, False, False, False]
    )
    carrier.change(seed=seed, faults={"callback_reordered": 0.5})
    await reported_call(carrier, customer)
    await customer.asked("/status", 4)
    assert numbers(customer) == ["1", "0", "2", "3"]
    assert carrier.ledger()["faults"]["callback_reordered"] == 1


async def test_what_is_held_back_to_be_overtaken_comes_at_the_end(
    carrier: Carrier, customer: Customer
) -> None:
    carrier.change(faults={"callback_reordered": 1})
    await reported_call(carrier, customer)
    await customer.asked("/status", 4)
    await carrier.quiet()
    assert sorted(numbers(customer)) == ["0", "1", "2", "3"]


async def test_a_delayed_callback_does_not_hold_up_the_others(
    carrier: Carrier, customer: Customer
) -> None:
    faults = Faults(callback_delayed=0.5, callback_delay_seconds=4)

    def delays(seed: int) -> list[float]:
        key = f"{ANYONE}/0"
        return [callback_fate(faults, seed, key, "status", n).delays[0] for n in range(4)]

    seed = next(
        seed
        for seed in range(1000)
        if (found := delays(seed))[0] > 2.5 and not any(found[1:])  # the first, and by much
    )
    carrier.change(seed=seed, faults={"callback_delayed": 0.5, "callback_delay_seconds": 4})
    await reported_call(carrier, customer)
    await customer.asked("/status", 4)
    assert numbers(customer) == ["1", "2", "3", "0"]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("post_429", 429, 20429), ("post_10004", 429, 10004), ("post_500", 500, 20500)],
)
async def test_a_refused_post_places_nothing(
    carrier: Carrier, customer: Customer, fault: str, status: int, code: int
) -> None:
    carrier.change(faults={fault: 1})
    error = await carrier.refused(twiml="<Response/>", status_callback=f"{customer.url}/status")
    assert (error.status, error.code) == (status, code)
    ledger = carrier.ledger()
    assert ledger["calls"] == []
    assert [post["result"] for post in ledger["refused"]] == [code]
    assert ledger["faults"] == {fault: 1}
    carrier.change(faults=None)
    assert (await reported_call(carrier, customer)).status == "queued"


async def test_a_500_may_come_though_the_call_was_placed(
    carrier: Carrier, customer: Customer
) -> None:
    carrier.change(faults={"post_500_placed": 1})
    error = await carrier.refused(twiml="<Response/>", status_callback=f"{customer.url}/status")
    assert error.status == 500
    (call,) = carrier.ledger()["calls"]
    await carrier.over(call["sid"])
    assert (await customer.status("completed")).form["CallSid"] == call["sid"]
    assert call["fault"] == carrier.ledger()["posts"][0]["fault"] == "post_500_placed"


async def test_a_dropped_answer_leaves_a_call_that_only_its_callbacks_name(
    carrier: Carrier, customer: Customer
) -> None:
    carrier.change(faults={"post_dropped": 1})
    with pytest.raises(requests.exceptions.ConnectionError):
        await carrier.call(twiml="<Response/>", status_callback=f"{customer.url}/status")
    told = await customer.status("completed")
    (call,) = carrier.ledger()["calls"]
    assert told.form["CallSid"] == call["sid"]
    assert carrier.ledger()["faults"] == {"post_dropped": 1}
    carrier.change(faults=None)  # and the carrier serves on
    assert (await carrier.call(twiml="<Response/>")).status == "queued"


async def test_a_slow_answer_comes_after_the_call_has_begun(
    carrier: Carrier, customer: Customer
) -> None:
    seed = next(seed for seed in range(1000) if chance(seed, "slow", f"{ANYONE}/0") > 0.9)
    carrier.change(seed=seed, faults={"post_slow": 1, "post_slow_seconds": 2})
    posting = asyncio.create_task(reported_call(carrier, customer))
    await customer.status("in-progress")
    assert not posting.done()
    assert (await posting).sid == carrier.ledger()["calls"][0]["sid"]


async def test_a_run_with_the_same_seed_has_the_same_faults(
    carrier: Carrier, http: httpx.AsyncClient
) -> None:
    faults = {"post_429": 0.2, "post_500_placed": 0.2, "post_10004": 0.2}
    carrier.change(seed=11, faults=faults, calls_per_second=1000, ring_seconds=0)

    async def results() -> list[Any]:
        for number in range(20):
            try:
                await carrier.call(to=f"+1212555{number:04d}", twiml="<Response/>")
            except TwilioRestException:
                continue
        await carrier.quiet()
        return [(post["result"], post["fault"]) for post in carrier.ledger()["posts"]]

    first = await results()
    assert len(set(first)) > 2
    asked = Faults().changed(faults)
    drawn = [post_fault(asked, 11, f"+1212555{number:04d}/0") for number in range(20)]
    assert [fault for _, fault in first if fault] == [
        fault for fault in drawn if fault == "post_500_placed"
    ]
    assert (await http.delete("/sandbox/ledger")).status_code == 204
    assert carrier.ledger()["faults"] == {}
    assert await results() == first
    assert await results() != first  # the second POST to a number is another


async def test_faults_are_switched_by_http_and_wrong_ones_named(http: httpx.AsyncClient) -> None:
    changed = await http.post("/sandbox/settings", json={"seed": 5, "faults": {"post_slow": 0.5}})
    assert (changed.json()["seed"], changed.json()["faults"]["post_slow"]) == (5, 0.5)
    wrong = await http.post("/sandbox/settings", json={"faults": {"post_late": 0.5}})
    assert wrong.status_code == 422
    assert "post_late" in wrong.json()["error"]
    assert "post_slow" in wrong.json()["error"]
    too_much = await http.post("/sandbox/settings", json={"faults": {"post_429": 0.6}})
    assert too_much.status_code == 422  # and nothing was changed
    assert (await http.get("/sandbox/settings")).json()["faults"]["post_429"] == 0


async def test_the_summary_tells_double_dials_and_the_pace(
    carrier: Carrier, customer: Customer, http: httpx.AsyncClient
) -> None:
    carrier.people[ANYONE] = Somebody(Answer("no_answer", float("inf")))
    url = f"{customer.url}/voice/{ATTEMPT}"
    first = await carrier.call(url=url)
    second = await carrier.call(url=url)
    third = await carrier.call(to="+12125550123", url=f"{customer.url}/voice/{ATTEMPT[:-1]}7")
    await carrier.sdk(lambda client: client.calls(second.sid).update(status="canceled"))
    summary = (await http.get("/sandbox/ledger/summary?limit=2")).json()
    assert summary["double_dials"] == summary["overlapping_calls"] == summary["repeated_ids"] == 1
    assert summary["examples"]["overlapping_calls"] == [[first.sid, second.sid]]
    assert summary["ended"]["canceled"] == 1
    assert summary["pacing"]["posts"] == summary["posts"] == 3
    assert summary["pacing"]["limit_per_second"] == 2
    later = carrier.entry(third.sid)["posted_at"]
    since = (await http.get(f"/sandbox/ledger/summary?since={later}")).json()
    assert since["pacing"]["posts"] == 1
    seen = (await http.get("/sandbox/ledger/numbers")).json()
    assert set(seen) == {ANYONE, "+12125550123"}
    assert (seen[ANYONE]["posts"], seen[ANYONE]["last_status"]) == (2, "canceled")
    for wrong in ("limit=0", "limit=x", "since=yesterday"):
        assert (await http.get(f"/sandbox/ledger/summary?{wrong}")).status_code == 422


async def test_the_whole_ledger_is_one_json_object(
    carrier: Carrier, http: httpx.AsyncClient
) -> None:
    assert (await http.get("/sandbox/ledger")).json()["calls"] == []
    calls = [await carrier.call(twiml="<Response/>") for _ in range(3)]
    for call in calls:
        await carrier.over(call.sid)
    ledger = (await http.get("/sandbox/ledger")).json()
    assert [call["sid"] for call in ledger["calls"]] == [call.sid for call in calls]
    assert ledger == carrier.ledger()

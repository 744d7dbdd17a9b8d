"""A call's life as a customer with Twilio's SDK sees it: REST, progress, endings, the queue."""

import asyncio
import math
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from carrier_world import ACCOUNT, ANYONE, CALLER, Carrier, Customer, Somebody
from outdial_sandbox.people.behaviour import Answer

pytestmark = pytest.mark.integration

ALL_EVENTS = ["initiated", "ringing", "answered", "completed"]
PAUSE = "<Response><Pause length='60'/></Response>"


async def test_a_call_is_reported_from_dialing_to_its_end(
    carrier: Carrier, customer: Customer
) -> None:
    customer.says("/voice", "<Response><Hangup/></Response>")
    call = await carrier.call(
        url=f"{customer.url}/voice",
        status_callback=f"{customer.url}/status",
        status_callback_event=ALL_EVENTS,
    )
    assert call.status == "queued"
    assert call.direction == "outbound-api"
    final = await customer.status("completed")
    forms = [item.form for item in customer.seen.items if item.path == "/status"]
    assert [form["CallStatus"] for form in forms] == [
        "initiated",
        "ringing",
        "in-progress",
        "completed",
    ]
    assert [form["SequenceNumber"] for form in forms] == ["0", "1", "2", "3"]
    assert all(item.signed for item in customer.seen.items)
    assert {form["CallbackSource"] for form in forms} == {"call-progress-events"}
    assert final.form["CallSid"] == call.sid
    assert final.form["SipResponseCode"] == "200"
    assert final.form["CallDuration"] == final.form["Duration"] == "1"
    assert final.form["ToCity"] == ""  # blank fields are sent, and signed
    assert parsedate_to_datetime(final.form["Timestamp"])
    fetched = await carrier.sdk(lambda client: client.calls(call.sid).fetch())
    assert (fetched.status, fetched.duration) == ("completed", "1")
    assert fetched.start_time is not None
    assert fetched.end_time >= fetched.start_time


async def test_only_the_end_is_reported_by_default(carrier: Carrier, customer: Customer) -> None:
    await carrier.call(
        twiml="<Response/>", status_callback=f"{customer.url}/status", status_callback_method="GET"
    )
    asked = await customer.asked("/status")
    assert asked.method == "GET"
    assert asked.signed
    assert (asked.query["CallStatus"], asked.query["SequenceNumber"]) == ("completed", "0")


async def test_events_may_be_given_in_one_string(carrier: Carrier, customer: Customer) -> None:
    call = await carrier.call(
        twiml="<Response/>",
        status_callback=f"{customer.url}/status",
        status_callback_event=["initiated completed"],
    )
    await customer.status("completed")
    assert customer.paths() == ["/status", "/status"]
    assert (await carrier.over(call.sid))["status"] == "completed"


@pytest.mark.parametrize(
    ("answer", "status", "sip_code"),
    [
        (Answer("busy", 1.0, sip_code=486), "busy", "486"),
        (Answer("rejected", 2.0, sip_code=603), "busy", "603"),
        (Answer("failed", 1.0, sip_code=404), "failed", "404"),
        (Answer("no_answer", math.inf), "no-answer", "487"),
        (Answer("person", 3000.0), "no-answer", "487"),  # would answer after the Timeout
    ],
)
async def test_calls_that_nobody_takes(
    carrier: Carrier, customer: Customer, answer: Answer, status: str, sip_code: str
) -> None:
    carrier.people[ANYONE] = Somebody(answer)
    call = await carrier.call(
        url=f"{customer.url}/voice", status_callback=f"{customer.url}/status", timeout=1
    )
    asked = await customer.status(status)
    assert asked.form["SipResponseCode"] == sip_code
    assert asked.form["CallDuration"] == "0"
    assert "/voice" not in customer.paths()
    fetched = await carrier.sdk(lambda client: client.calls(call.sid).fetch())
    assert (fetched.status, fetched.duration) == (status, None)


async def test_numbers_that_twilio_refuses(carrier: Carrier) -> None:
    carrier.people["+12125550107"] = Somebody(Answer("invalid", 0.0, error_code=21211))
    twiml = {"twiml": "<Response/>"}
    refusals: list[tuple[dict[str, Any], int]] = [
        ({"to": "", **twiml}, 21201),
        ({"to": "12", **twiml}, 21211),
        ({"to": "+12125550107", **twiml}, 21211),
        ({"from_": "", **twiml}, 21213),
        ({"from_": "nobody", **twiml}, 21212),
        ({"from_": "+12125559999", **twiml}, 21210),
        ({}, 21205),
        ({"url": "example.com/voice"}, 21205),
        ({"twiml": "<Response>" + "x" * 4000}, 20001),
        ({**twiml, "timeout": 601}, 21208),
        ({**twiml, "status_callback": "nowhere"}, 21609),
        ({**twiml, "status_callback_event": ["rung"]}, 20001),
        ({"url": "https://example.com", "method": "PUT"}, 21209),
        ({**twiml, "machine_detection": "Maybe"}, 20001),
        ({**twiml, "send_digits": "abc"}, 21206),
    ]
    for options, code in refusals:
        error = await carrier.refused(**options)
        assert (error.code, error.status) == (code, 400), options
    ledger = carrier.ledger()
    assert ledger["calls"] == []
    assert [post["result"] for post in ledger["refused"]] == [code for _, code in refusals]


async def test_a_wrong_token_opens_nothing(carrier: Carrier) -> None:
    client = Client(ACCOUNT, "wrong")
    client.api.base_url = carrier.url
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(client.api.accounts(ACCOUNT).fetch)
    assert (caught.value.code, caught.value.status) == (20003, 401)
    client.http_client.session.close()


async def test_what_is_not_there_is_20404(carrier: Carrier) -> None:
    with pytest.raises(TwilioRestException) as caught:
        await carrier.sdk(lambda client: client.calls("CA" + "0" * 32).fetch())
    assert (caught.value.code, caught.value.status) == (20404, 404)
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{carrier.url}/2010-04-01/Accounts/{ACCOUNT}/Queues.json")
    assert answer.json()["code"] == 20404


async def test_the_account_and_its_numbers(carrier: Carrier) -> None:
    account = await carrier.sdk(lambda client: client.api.accounts(ACCOUNT).fetch())
    assert (account.status, account.type) == ("active", "Full")
    numbers = await carrier.sdk(lambda client: client.incoming_phone_numbers.list())
    assert CALLER in [number.phone_number for number in numbers]
    assert all(number.capabilities["voice"] for number in numbers)
    one = await carrier.sdk(lambda client: client.incoming_phone_numbers(numbers[0].sid).fetch())
    assert one.phone_number == numbers[0].phone_number


async def test_calls_are_listed_in_pages_and_by_filter(carrier: Carrier) -> None:
    numbers = [f"+1212555{number:04d}" for number in range(5)]
    calls = [await carrier.call(to=number, twiml="<Response/>") for number in numbers]
    for call in calls:
        await carrier.over(call.sid)
    listed = await carrier.sdk(lambda client: client.calls.list(page_size=2))
    assert [call.to for call in listed] == numbers[::-1]

    async def found(**filters: Any) -> list[str]:
        some = await carrier.sdk(lambda client: client.calls.list(**filters))
        return [call.to for call in some]

    assert await found(to=numbers[2]) == [numbers[2]]
    assert await found(status="completed", from_=CALLER) == numbers[::-1]
    assert await found(status="busy") == []
    began = calls[0].date_created
    assert len(await found(start_time=began.date())) == 5
    assert len(await found(start_time_after=began.date())) == 5
    assert await found(start_time_before="2001-01-01") == []


async def test_hanging_up_by_rest(carrier: Carrier, customer: Customer) -> None:
    call = await carrier.call(
        twiml=PAUSE,
        status_callback=f"{customer.url}/status",
        status_callback_event=["answered", "completed"],
    )
    await customer.status("in-progress")
    ended = await carrier.sdk(lambda client: client.calls(call.sid).update(status="completed"))
    assert ended.status == "completed"
    await customer.status("completed")
    assert carrier.entry(call.sid)["ended_by"] == "caller"
    with pytest.raises(TwilioRestException) as caught:
        await carrier.sdk(lambda client: client.calls(call.sid).update(status="completed"))
    assert (caught.value.code, caught.value.status) == (20404, 404)
    with pytest.raises(TwilioRestException) as caught:
        await carrier.sdk(lambda client: client.calls(call.sid).update(twiml="<Response/>"))
    assert caught.value.code == 21220


async def test_a_ringing_call_is_canceled(carrier: Carrier, customer: Customer) -> None:
    carrier.people[ANYONE] = Somebody(Answer("no_answer", math.inf))
    call = await carrier.call(
        twiml=PAUSE,
        status_callback=f"{customer.url}/status",
        status_callback_event=["ringing", "completed"],
    )
    await customer.status("ringing")
    ended = await carrier.sdk(lambda client: client.calls(call.sid).update(status="canceled"))
    assert ended.status == "canceled"
    assert (await customer.status("canceled")).form["SipResponseCode"] == "487"


async def test_canceled_does_not_touch_a_call_in_progress(
    carrier: Carrier, customer: Customer
) -> None:
    call = await carrier.call(
        twiml=PAUSE, status_callback=f"{customer.url}/status", status_callback_event=["answered"]
    )
    await customer.status("in-progress")
    same = await carrier.sdk(lambda client: client.calls(call.sid).update(status="canceled"))
    assert same.status == "in-progress"


async def test_the_person_hangs_up(carrier: Carrier) -> None:
    carrier.people[ANYONE] = Somebody(hang_up_at=0.2)
    call = await carrier.call(twiml=PAUSE)
    entry = await carrier.over(call.sid)
    assert (entry["status"], entry["ended_by"]) == ("completed", "person")


async def test_the_time_limit_ends_a_call(carrier: Carrier) -> None:
    call = await carrier.call(twiml=PAUSE, time_limit=1)
    entry = await carrier.over(call.sid)
    assert (entry["status"], entry["ended_by"]) == ("completed", "carrier")
    assert entry["ended_at"] - entry["answered_at"] >= 0.99


async def test_an_ended_call_can_be_deleted(carrier: Carrier) -> None:
    call = await carrier.call(twiml="<Response/>")
    await carrier.over(call.sid)
    assert await carrier.sdk(lambda client: client.calls(call.sid).delete())
    assert await carrier.sdk(lambda client: client.calls.list()) == []


async def test_calls_leave_the_queue_in_order_and_not_too_fast(carrier: Carrier) -> None:
    async with httpx.AsyncClient() as http:
        changed = await http.post(f"{carrier.url}/sandbox/settings", json={"calls_per_second": 10})
        assert changed.json()["calls_per_second"] == 10
    calls = [
        await carrier.call(to=f"+1212555{number:04d}", twiml="<Response/>") for number in range(6)
    ]
    entries = [await carrier.over(call.sid) for call in calls]
    dialed = [entry["dialed_at"] for entry in entries]
    assert dialed == sorted(dialed)
    # One may leave late, and the next at its own time: none leaves before its own.
    assert all(at - dialed[0] >= 0.1 * turn - 0.02 for turn, at in enumerate(dialed))
    last = await carrier.sdk(lambda client: client.calls(calls[-1].sid).fetch())
    assert int(last.queue_time) >= 0


async def test_overlapping_calls_to_one_number_are_seen(carrier: Carrier) -> None:
    first = await carrier.call(twiml=PAUSE)
    second = await carrier.call(twiml="<Response/>")
    await carrier.over(second.sid)
    assert carrier.ledger()["overlapping"] == [[first.sid, second.sid]]


async def test_settings_that_do_not_fit_are_named(carrier: Carrier) -> None:
    async with httpx.AsyncClient(base_url=carrier.url) as http:
        for values, named in [
            ({"calls_per_second": 0}, "calls_per_second"),
            ({"calls_per_secnd": 1}, "calls_per_secnd"),
            ({"numbers": ["12"]}, "E.164"),
            ([1], "JSON object"),
        ]:
            answer = await http.post("/sandbox/settings", json=values)
            assert answer.status_code == 422
            assert named in answer.json()["error"]
        health = await http.get("/sandbox/health")
        assert health.json()["status"] == "ok"
        people = (await http.get("/sandbox/people")).json()["people"]
        assert people["02"]["about"].startswith("busy")


async def test_the_ledger_can_be_emptied(carrier: Carrier) -> None:
    call = await carrier.call(twiml="<Response/>")
    await carrier.over(call.sid)
    async with httpx.AsyncClient(base_url=carrier.url) as http:
        full = (await http.get("/sandbox/ledger")).json()
        assert [entry["sid"] for entry in full["calls"]] == [call.sid]
        assert (await http.delete("/sandbox/ledger")).status_code == 204
        empty = (await http.get("/sandbox/ledger")).json()
    assert (empty["calls"], empty["posts"]) == ([], [])

"""TwiML and callbacks over a web that fails: retries, fallbacks, redirects."""

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse, RedirectResponse

from carrier_world import ANYONE, PATIENCE, Carrier, Customer, Somebody, free_port

pytestmark = pytest.mark.integration


async def fallback(carrier: Carrier, customer: Customer, url: str) -> dict[str, str]:
    """Call with `url`, and what the fallback was told."""
    customer.says("/fallback", "<Response/>")
    call = await carrier.call(url=url, fallback_url=f"{customer.url}/fallback")
    asked = await customer.asked("/fallback")
    assert asked.signed
    await carrier.over(call.sid)
    return asked.form


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (500, "11200"),
        (404, "11200"),
        ("<Response><Say>", "12100"),
        ("<Reply/>", "12200"),
        ("<Response><Response/></Response>", "12200"),
        ("<Response><Dance/></Response>", "12200"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><Response>&b;</Response>", "12100"),
        ("<Response><Redirect>ftp://somewhere</Redirect></Response>", "11100"),
    ],
)
async def test_documents_that_cannot_be_executed_go_to_the_fallback(
    carrier: Carrier, customer: Customer, answer: object, code: str
) -> None:
    customer.says("/voice", answer)
    told = await fallback(carrier, customer, f"{customer.url}/voice#rc=0")
    assert told["ErrorCode"] == code
    assert told["ErrorUrl"] == f"{customer.url}/voice"  # the fragment is not part of it


async def test_a_server_that_is_not_there_is_asked_twice(
    carrier: Carrier, customer: Customer
) -> None:
    told = await fallback(carrier, customer, f"http://127.0.0.1:{free_port()}/voice")
    assert told["ErrorCode"] == "11205"
    (entry,) = carrier.ledger()["calls"]
    assert [item["attempts"] for item in entry["webhooks"] if item["purpose"] == "twiml"] == [2]


async def test_a_frozen_server_costs_what_the_fragment_allows(
    carrier: Carrier, customer: Customer
) -> None:
    thawed = asyncio.Event()

    async def freeze() -> int:
        await thawed.wait()
        return 204

    customer.says("/voice", freeze)
    told = await fallback(carrier, customer, f"{customer.url}/voice#ct=300&rt=300&rc=0")
    thawed.set()
    assert told["ErrorCode"] == "11200"
    assert customer.paths().count("/voice") == 1


async def test_server_errors_are_repeated_only_if_the_fragment_asks(
    carrier: Carrier, customer: Customer
) -> None:
    carrier.without_sound()
    customer.says("/voice", 500, 500, "<Response/>")
    call = await carrier.call(url=f"{customer.url}/voice#rc=3&rp=5xx")
    await carrier.over(call.sid)
    asked = [item for item in customer.seen.items if item.path == "/voice"]
    assert len(asked) == 3
    assert len({item.headers["i-twilio-idempotency-token"] for item in asked}) == 1
    customer.says("/other", 500)
    call = await carrier.call(url=f"{customer.url}/other")
    assert (await carrier.over(call.sid))["ended_by"] == "carrier"
    assert customer.paths().count("/other") == 1


async def test_without_a_fallback_the_person_hears_an_apology(
    carrier: Carrier, customer: Customer
) -> None:
    customer.says("/voice", 500)
    call = await carrier.call(url=f"{customer.url}/voice")
    entry = await carrier.over(call.sid)
    assert entry["ended_by"] == "carrier"
    assert entry["bot_speech"]


async def test_a_fallback_that_fails_is_not_asked_for_ever(
    carrier: Carrier, customer: Customer
) -> None:
    carrier.without_sound()
    customer.says("/voice", 500)
    customer.says("/fallback", 500)
    call = await carrier.call(url=f"{customer.url}/voice", fallback_url=f"{customer.url}/fallback")
    assert (await carrier.over(call.sid))["ended_by"] == "carrier"
    assert customer.paths().count("/fallback") == 1


async def test_redirects_end_at_ten(carrier: Carrier, customer: Customer) -> None:
    carrier.without_sound()
    customer.says("/voice", "<Response><Redirect method='GET'>/voice</Redirect></Response>")
    call = await carrier.call(url=f"{customer.url}/voice")
    entry = await carrier.over(call.sid)
    assert entry["problems"][0]["code"] == 11215
    assert customer.paths().count("/voice") == 11


async def test_http_redirects_are_followed_and_signed(carrier: Carrier, customer: Customer) -> None:
    customer.says("/voice", RedirectResponse("/moved?a=1", status_code=302))
    customer.says("/moved", "<Response/>")
    call = await carrier.call(url=f"{customer.url}/voice")
    moved = await customer.asked("/moved")
    assert moved.method == "GET"
    assert moved.signed
    assert moved.query["CallSid"] == call.sid


async def test_the_url_of_a_call_may_be_asked_with_get(
    carrier: Carrier, customer: Customer
) -> None:
    customer.says("/voice", PlainTextResponse("Hello."))  # plain text is read out
    call = await carrier.call(url=f"{customer.url}/voice?pod=1", method="GET")
    asked = await customer.asked("/voice")
    assert asked.signed
    assert (asked.query["pod"], asked.query["CallSid"]) == ("1", call.sid)
    assert (await carrier.over(call.sid))["bot_speech"]


async def test_callbacks_arrive_in_the_order_they_were_fired(
    carrier: Carrier, customer: Customer
) -> None:
    slow = asyncio.Event()

    async def dawdle() -> int:
        await slow.wait()
        return 204

    customer.says("/status", dawdle, 204)
    call = await carrier.call(
        twiml="<Response/>",
        status_callback=f"{customer.url}/status",
        status_callback_event=["initiated", "answered", "completed"],
    )
    await customer.asked("/status")
    await carrier.over(call.sid)
    assert customer.paths() == ["/status"]  # the first is still being answered
    slow.set()
    await customer.asked("/status", 3)
    numbers = [item.form["SequenceNumber"] for item in customer.seen.items]
    assert numbers == ["0", "1", "2"]


async def test_what_the_carrier_says_is_heard(carrier: Carrier, customer: Customer) -> None:
    person = carrier.people[ANYONE] = Somebody()
    customer.says(
        "/voice",
        "<Response><Say language='en-GB'>Good &lt;morning&gt; &amp; welcome</Say>"
        "<Pause length='1'/><Play digits='12'/><Play>/missing.wav</Play></Response>",
    )
    call = await carrier.call(url=f"{customer.url}/voice")
    entry = await carrier.over(call.sid)
    assert len(entry["bot_speech"]) == 2  # speech, a pause, keys
    assert [problem["code"] for problem in entry["problems"]] == [12300]
    assert len(person.behaviours[0].heard) > 100


async def test_the_ledger_keeps_every_webhook(carrier: Carrier, customer: Customer) -> None:
    customer.says("/voice", "<Response/>")
    call = await carrier.call(
        url=f"{customer.url}/voice", status_callback=f"{customer.url}/status#rc=2"
    )
    await customer.asked("/status")
    async with httpx.AsyncClient() as http, asyncio.timeout(PATIENCE):
        while True:
            ledger = (await http.get(f"{carrier.url}/sandbox/ledger")).json()
            webhooks = ledger["calls"][0]["webhooks"]
            if len(webhooks) == 2 and webhooks[1]["result"] is not None:
                break
    assert [(item["purpose"], item["event"], item["result"]) for item in webhooks] == [
        ("twiml", None, 200),
        ("status", "completed", 204),
    ]
    assert ledger["posts"][0]["sid"] == call.sid

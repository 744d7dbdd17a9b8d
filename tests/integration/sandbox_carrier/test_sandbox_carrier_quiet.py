"""Calls without audio: everything happens but sound."""

from collections import Counter
from typing import Any

import pytest

from carrier_world import ANYONE, Bot, Carrier, Customer, Somebody
from outdial_sandbox.people.behaviour import Answer

pytestmark = pytest.mark.integration

ALL_EVENTS = ["initiated", "ringing", "answered", "completed"]


def without_audio(carrier: Carrier) -> None:
    carrier.change(
        audio=False,
        talk_seconds=[0.05, 0.3],
        ring_seconds=0.02,
        longest_ring_seconds=0.1,
        calls_per_second=1000,
    )


async def test_a_call_without_audio_is_a_call_without_media(
    carrier: Carrier, customer: Customer, bot: Bot
) -> None:
    without_audio(carrier)
    customer.says("/voice", f"<Response><Connect><Stream url='{bot.url}/ws'/></Connect></Response>")
    call = await carrier.call(
        url=f"{customer.url}/voice",
        status_callback=f"{customer.url}/status",
        status_callback_event=ALL_EVENTS,
        machine_detection="DetectMessageEnd",
        async_amd="true",
        async_amd_status_callback=f"{customer.url}/amd",
        record=True,
        recording_status_callback=f"{customer.url}/recording",
        recording_status_callback_event=["absent"],
    )
    socket = await bot.socket()
    await socket.play(bytes(1600))
    await socket.mark("played")
    assert (await socket.event("mark"))["mark"] == {"name": "played"}
    await socket.event("stop")
    await socket.closed.wait()
    entry = await carrier.over(call.sid)
    assert [item["event"] for item in socket.seen.items] == ["connected", "start", "mark", "stop"]
    assert (entry["status"], entry["ended_by"], entry["sip_code"]) == ("completed", "person", 200)
    assert entry["utterances"] == entry["bot_speech"] == []
    assert entry["answered_by"] == "human"
    assert 0.05 <= entry["ended_at"] - entry["answered_at"] < 2
    assert (await customer.asked("/amd")).form["AnsweredBy"] == "human"
    assert (await customer.asked("/recording")).form["RecordingStatus"] == "absent"
    await customer.status("completed")
    events = [item.form["CallStatus"] for item in customer.seen.items if item.path == "/status"]
    assert events == ["initiated", "ringing", "in-progress", "completed"]
    assert list((carrier.data / "recordings").iterdir()) == []


async def test_a_bot_may_end_a_call_without_audio_first(carrier: Carrier, bot: Bot) -> None:
    without_audio(carrier)
    carrier.change(talk_seconds=[60, 60])
    call = await carrier.call(
        twiml=f"<Response><Connect><Stream url='{bot.url}'/></Connect></Response>"
    )
    await (await bot.socket()).connection.close()
    entry = await carrier.over(call.sid)
    assert (entry["ended_by"], entry["streams"][0]["ended_by"]) == ("caller", "app")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [("machine", "machine_end_beep"), ("fax", "fax"), ("person", "human")],
)
async def test_the_verdict_without_audio_follows_from_the_person(
    carrier: Carrier, customer: Customer, answer: Any, verdict: str
) -> None:
    without_audio(carrier)
    carrier.people[ANYONE] = Somebody(Answer(answer, 1.0))
    customer.says("/voice", "<Response><Say>Hello.</Say><Hangup/></Response>")
    await carrier.call(url=f"{customer.url}/voice", machine_detection="DetectMessageEnd")
    assert (await customer.asked("/voice")).form["AnsweredBy"] == verdict  # held until it is known


async def test_nobody_is_waited_for_longer_than_was_set(carrier: Carrier) -> None:
    without_audio(carrier)
    carrier.people[ANYONE] = Somebody(Answer("no_answer", float("inf")))
    entry = await carrier.over((await carrier.call(twiml="<Response/>", timeout=60)).sid)
    assert (entry["status"], entry["sip_code"]) == ("no-answer", 487)
    carrier.people[ANYONE] = Somebody(Answer("person", 500.0))
    entry = await carrier.over((await carrier.call(twiml="<Response/>", timeout=60)).sid)
    assert entry["status"] == "completed"  # they pick up sooner, too


async def test_what_ended_is_kept_small_and_can_still_be_read(
    carrier: Carrier, customer: Customer, bot: Bot
) -> None:
    without_audio(carrier)
    carrier.change(talk_seconds=[0, 0.02])
    customer.says("/voice", f"<Response><Connect><Stream url='{bot.url}'/></Connect></Response>")
    exchange = carrier.app.state.exchange
    calls = []
    for number in range(30):
        calls.append(
            await carrier.call(
                to=f"+1212555{number:04d}",
                url=f"{customer.url}/voice",
                status_callback=f"{customer.url}/status",
                status_callback_event=ALL_EVENTS,
            )
        )
    await carrier.quiet()
    unpacked = exchange.ledger.content()["calls"]
    for record in exchange.ledger._ended:
        record._settled_at = 0  # as if two seconds had passed
    exchange.ledger._unpacked = type(exchange.ledger._unpacked)(
        record for record in exchange.ledger._unpacked if not record.pack()
    )
    assert not exchange.ledger._unpacked
    assert exchange.ledger.content()["calls"] == unpacked
    assert all(len(record._packed) < 1500 for record in exchange.ledger._ended)
    kept = exchange.calls[calls[0].sid]
    assert kept.line is None
    assert not kept.history
    fetched = await carrier.sdk(lambda client: client.calls(calls[0].sid).fetch())
    assert (fetched.status, fetched.to) == ("completed", calls[0].to)
    listed = await carrier.sdk(lambda client: client.calls.list(to=calls[3].to))
    assert [item.sid for item in listed] == [calls[3].sid]
    webhooks = Counter(item["purpose"] for call in unpacked for item in call["webhooks"])
    assert webhooks["status"] == 120

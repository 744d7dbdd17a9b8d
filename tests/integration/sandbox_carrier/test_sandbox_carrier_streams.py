"""Media streams as a bot sees them, and what the person hears of it."""

import asyncio
import base64
from itertools import pairwise

import numpy as np
import pytest
from twilio.request_validator import RequestValidator
from websockets.asyncio.server import ServerConnection, serve

from carrier_world import ACCOUNT, ANYONE, TOKEN, Bot, Carrier, Customer, Somebody, noise, tone
from outdial_sandbox.carrier import mulaw

pytestmark = pytest.mark.integration


def stream(url: str, *, more: str = "", connect: str = "", after: str = "") -> str:
    return (
        f"<Response><Connect {connect}><Stream url='{url}'>{more}</Stream></Connect>"
        f"{after}</Response>"
    )


async def test_a_stream_opens_as_twilio_opens_it(
    carrier: Carrier, customer: Customer, bot: Bot
) -> None:
    more = "<Parameter name='lead_id' value='a &amp; &lt;b&gt;'/>"
    status = f"statusCallback='{customer.url}/stream'"
    url = f"{bot.url}/ws/reminder/token?lost=1"
    twiml = stream(url, more=more).replace("<Stream ", f"<Stream {status} ")
    call = await carrier.call(twiml=twiml)
    socket = await bot.socket()
    assert socket.path == "/ws/reminder/token"  # the query string is dropped
    signed_url = f"{bot.url}/ws/reminder/token"
    signature = socket.headers["x-twilio-signature"]
    assert RequestValidator(TOKEN).validate(signed_url, {}, signature)
    await socket.event("media", 5)
    connected, start, *media = socket.seen.items[:7]
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start["sequenceNumber"] == "1"
    assert start["start"] == {
        "accountSid": ACCOUNT,
        "streamSid": start["streamSid"],
        "callSid": call.sid,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"lead_id": "a & <b>"},
    }
    assert [item["sequenceNumber"] for item in media] == ["2", "3", "4", "5", "6"]
    assert [item["media"]["chunk"] for item in media] == ["1", "2", "3", "4", "5"]
    assert {item["media"]["track"] for item in media} == {"inbound"}
    assert {len(base64.b64decode(item["media"]["payload"])) for item in media} == {160}
    stamps = [int(item["media"]["timestamp"]) for item in media]
    assert 100 <= stamps[0] <= 170
    assert all(later - earlier == 20 for earlier, later in pairwise(stamps))
    started = await customer.asked("/stream")
    assert started.signed
    assert started.form["StreamEvent"] == "stream-started"
    assert started.form["StreamSid"] == start["streamSid"]
    await socket.connection.close()
    assert (await customer.asked("/stream", 2)).form["StreamEvent"] == "stream-stopped"
    entry = await carrier.over(call.sid)  # nothing follows: the call ends
    assert (entry["status"], entry["ended_by"]) == ("completed", "caller")
    assert entry["streams"][0]["ended_by"] == "app"


async def test_both_sides_hear_each_other(carrier: Carrier, bot: Bot) -> None:
    said = noise(0.4)
    person = carrier.people[ANYONE] = Somebody(words=[(0.2, said)])
    await carrier.call(twiml=stream(bot.url))
    socket = await bot.socket()
    played = tone(0.5)
    await socket.play(mulaw.encode(played[:1000]))  # pieces of any size
    await socket.play(mulaw.encode(played[1000:]))
    await socket.mark("played")
    await socket.event("mark")
    heard = np.concatenate(person.behaviours[0].heard)
    begin = int(np.flatnonzero(np.abs(heard) > 1000)[0])
    whole = mulaw.decode(mulaw.encode(played))
    first = int(np.flatnonzero(np.abs(whole) > 1000)[0])
    assert np.array_equal(heard[begin : begin + len(whole) - first], whole[first:])
    await socket.event("media", 40)
    got = b"".join(
        base64.b64decode(item["media"]["payload"])
        for item in socket.seen.items
        if item["event"] == "media"
    )
    assert mulaw.encode(said) in got
    await socket.connection.close()


async def test_a_mark_comes_back_when_its_audio_was_played(carrier: Carrier, bot: Bot) -> None:
    person = carrier.people[ANYONE] = Somebody()
    await carrier.call(twiml=stream(bot.url))
    socket = await bot.socket()
    await socket.mark("at once")
    await socket.play(mulaw.encode(tone(0.3)))
    await socket.mark("after")
    await socket.play(mulaw.encode(tone(30)))
    await socket.mark("never reached")
    first = await socket.event("mark")
    assert first["mark"] == {"name": "at once"}
    second = await socket.event("mark", 2)
    assert second["mark"] == {"name": "after"}
    assert isinstance(second["sequenceNumber"], str)
    audible = [frame for frame in person.behaviours[0].heard if np.abs(frame).max() > 1000]
    assert len(audible) >= 15
    await socket.send("clear")
    third = await socket.event("mark", 3)  # clear tells what waits, though it was not played
    assert third["mark"] == {"name": "never reached"}
    frames = len(person.behaviours[0].heard)
    await socket.event("media", frames + 10)
    assert not np.concatenate(person.behaviours[0].heard[frames + 3 :]).any()
    await socket.connection.close()


async def test_messages_that_make_no_sense_do_no_harm(carrier: Carrier, bot: Bot) -> None:
    call = await carrier.call(twiml=stream(bot.url))
    socket = await bot.socket()
    await socket.connection.send("not json")
    await socket.connection.send(b"\x00\x01")
    await socket.connection.send("[]")
    await socket.send("media", media={"payload": "***"})
    await socket.send("media")
    await socket.send("dance")
    await socket.connection.send('{"event":"clear","streamSid":"MZother"}')
    await socket.mark("alive")
    await socket.event("mark")
    problems = carrier.entry(call.sid)["problems"]
    assert [problem["code"] for problem in problems] == [31951] * 7
    await socket.connection.close()


async def test_action_is_asked_when_the_bot_closes(
    carrier: Carrier, customer: Customer, bot: Bot
) -> None:
    customer.says("/voice", stream(bot.url, connect="action='/next' method='POST'"))
    customer.says("/next", stream(f"{bot.url}/again"))
    call = await carrier.call(url=f"{customer.url}/voice")
    first = await bot.socket()
    await first.connection.close()
    asked = await customer.asked("/next")
    assert asked.signed
    assert (asked.form["CallSid"], asked.form["CallStatus"]) == (call.sid, "in-progress")
    second = await bot.socket(2)
    assert second.path == "/again"
    assert second.sid != first.sid
    await second.connection.close()
    await carrier.over(call.sid)


async def test_the_next_verb_follows_without_an_action(
    carrier: Carrier, customer: Customer, bot: Bot
) -> None:
    customer.says("/voice", stream(bot.url, after="<Redirect>/then</Redirect>"))
    customer.says("/then", "<Response/>")
    await carrier.call(url=f"{customer.url}/voice")
    await (await bot.socket()).connection.close()
    await customer.asked("/then")


async def test_a_hang_up_stops_the_stream(carrier: Carrier, customer: Customer, bot: Bot) -> None:
    carrier.people[ANYONE] = Somebody(hang_up_at=0.5)
    call = await carrier.call(twiml=stream(bot.url, connect=f"action='{customer.url}/next'"))
    socket = await bot.socket()
    stop = await socket.event("stop")
    assert stop["stop"] == {"accountSid": ACCOUNT, "callSid": call.sid}
    await socket.closed.wait()
    entry = await carrier.over(call.sid)
    assert entry["ended_by"] == entry["streams"][0]["ended_by"] == "person"
    assert "/next" not in customer.paths()


async def test_action_after_a_hang_up_can_be_switched_on(
    carrier: Carrier, customer: Customer, bot: Bot
) -> None:
    exchange = carrier.app.state.exchange
    exchange.settings = exchange.settings.changed({"action_on_hangup": True})
    carrier.people[ANYONE] = Somebody(hang_up_at=0.5)
    await carrier.call(twiml=stream(bot.url, connect=f"action='{customer.url}/next'"))
    await bot.socket()
    assert (await customer.asked("/next")).form["CallStatus"] == "completed"


async def test_new_twiml_by_rest_tears_the_stream_down(
    carrier: Carrier, customer: Customer, bot: Bot
) -> None:
    call = await carrier.call(twiml=stream(bot.url, connect=f"action='{customer.url}/next'"))
    socket = await bot.socket()
    second = stream(f"{bot.url}/second")
    await carrier.sdk(lambda client: client.calls(call.sid).update(twiml=second))
    await socket.event("stop")
    await socket.closed.wait()
    assert (await bot.socket(2)).path == "/second"
    customer.says("/third", "<Response/>")
    await carrier.sdk(lambda client: client.calls(call.sid).update(url=f"{customer.url}/third"))
    entry = await carrier.over(call.sid)
    assert [item["ended_by"] for item in entry["streams"]] == ["caller", "caller"]
    assert "/next" not in customer.paths()


async def test_a_refused_stream_goes_on_with_the_next_verb(
    carrier: Carrier, customer: Customer
) -> None:
    nowhere = "ws://127.0.0.1:9/ws"
    customer.says(
        "/voice",
        stream(nowhere, after="<Redirect>/then</Redirect>").replace(
            "<Stream ", "<Stream statusCallback='/stream' "
        ),
    )
    customer.says("/then", "<Response/>")
    call = await carrier.call(url=f"{customer.url}/voice")
    await customer.asked("/then")
    asked = await customer.asked("/stream")
    assert asked.form["StreamEvent"] == "stream-error"
    assert asked.form["StreamError"].startswith("31920")
    entry = await carrier.over(call.sid)
    assert entry["streams"][0]["ended_by"] == "refused"
    assert 31920 in [problem["code"] for problem in entry["problems"]]


async def test_a_plain_socket_to_another_machine_is_refused(carrier: Carrier) -> None:
    carrier.without_sound()
    call = await carrier.call(twiml=stream("ws://192.0.2.1/ws"))
    entry = await carrier.over(call.sid)
    assert entry["problems"][0]["code"] == 12200
    assert entry["ended_by"] == "carrier"


async def test_the_ledger_measures_what_was_heard(carrier: Carrier, bot: Bot) -> None:
    carrier.people[ANYONE] = Somebody(words=[(1.0, noise(0.4))], hang_up_at=3.0)
    call = await carrier.call(twiml=stream(bot.url))
    socket = await bot.socket()
    await socket.play(mulaw.encode(tone(0.3)))
    await socket.event("media", 90)  # 1.8 s: the person has finished 0.4 s ago
    await socket.play(mulaw.encode(tone(0.3)))
    entry = await carrier.over(call.sid)
    assert len(entry["bot_speech"]) == 2
    assert 0 <= entry["first_bot_audio_ms"] < 1000
    (wait,) = entry["voice_to_voice_ms"]
    second = entry["bot_speech"][1]["started_at"]
    assert wait == pytest.approx((second - entry["utterances"][0]["ended_at"]) * 1000, abs=1)
    assert 300 <= wait < 1500


async def test_wss_to_this_machine_is_met_in_plain_but_signed_as_written(
    carrier: Carrier, bot: Bot
) -> None:
    url = bot.url.replace("ws:", "wss:")
    await carrier.call(twiml=stream(f"{url}/ws"))
    socket = await bot.socket()
    signature = socket.headers["x-twilio-signature"]
    assert RequestValidator(TOKEN).validate(f"{url}/ws", {}, signature)
    await socket.connection.close()


async def test_a_bot_that_stopped_reading_does_not_hold_the_call(carrier: Carrier) -> None:
    opened = asyncio.Event()
    over = asyncio.Event()

    async def frozen(_connection: ServerConnection) -> None:
        opened.set()
        await over.wait()

    async with serve(frozen, "127.0.0.1", 0, max_queue=1, close_timeout=0.1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        call = await carrier.call(twiml=stream(f"ws://127.0.0.1:{port}"))
        await opened.wait()
        await carrier.sdk(lambda client: client.calls(call.sid).update(status="completed"))
        entry = await carrier.over(call.sid)
        assert entry["streams"][0]["ended_by"] == "caller"
        over.set()

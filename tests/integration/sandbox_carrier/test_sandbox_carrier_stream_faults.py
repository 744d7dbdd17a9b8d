"""Streams that are refused, cut, half-open or slow, and `action` in all that Twilio leaves open."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from carrier_world import ANYONE, Bot, Carrier, Customer, Somebody
from outdial_sandbox.carrier.faults import Faults, action_answer_is_lost, stream_fate
from polling import until

pytestmark = pytest.mark.integration

KEY = f"{ANYONE}/0"


def stream(bot: Bot, after: str = "") -> str:
    return (
        f"<Response><Connect action='/next'><Stream url='{bot.url}/ws' "
        f"statusCallback='/stream'/></Connect>{after}</Response>"
    )


def seed_for(fits: Callable[[int], bool]) -> int:
    return next(seed for seed in range(10_000) if fits(seed))


def stream_events(customer: Customer) -> list[str]:
    return [item.form["StreamEvent"] for item in customer.seen.items if item.path == "/stream"]


async def test_a_cut_stream_is_noticed_by_both_and_action_follows(
    carrier: Carrier, customer: Customer, bot: Bot
) -> None:
    faults = Faults(stream_cut=0.5, stream_cut_seconds=0.5)

    def first_alone(seed: int) -> bool:
        return bool(stream_fate(faults, seed, KEY, 1)) and not stream_fate(faults, seed, KEY, 2)

    fault = {"stream_cut": 0.5, "stream_cut_seconds": 0.5}
    carrier.change(seed=seed_for(first_alone), faults=fault)
    customer.says("/voice", stream(bot))
    customer.says("/next", stream(bot), "<Response/>")
    call = await carrier.call(url=f"{customer.url}/voice")
    first = await bot.socket()
    await first.closed.wait()
    assert "stop" not in [item["event"] for item in first.seen.items]  # it was cut, not ended
    assert (await customer.asked("/next")).form["CallStatus"] == "in-progress"
    second = await bot.socket(2)  # the call goes on
    await second.connection.close()
    entry = await carrier.over(call.sid)
    assert [item["ended_by"] for item in entry["streams"]] == ["cut", "app"]
    assert [item["fault"] for item in entry["streams"]] == ["stream_cut", None]
    assert 31903 in [problem["code"] for problem in entry["problems"]]
    await carrier.quiet()
    assert stream_events(customer) == [
        "stream-started",
        "stream-error",
        "stream-stopped",
        "stream-started",
        "stream-stopped",
    ]
    assert carrier.ledger()["faults"] == {"stream_cut": 1}


async def test_a_refused_stream_never_reaches_the_bot(
    carrier: Carrier, customer: Customer, bot: Bot
) -> None:
    carrier.change(faults={"stream_refused": 1})
    customer.says("/voice", stream(bot, "<Redirect>/then</Redirect>"))
    customer.says("/then", "<Response/>")
    call = await carrier.call(url=f"{customer.url}/voice")
    await customer.asked("/then")
    entry = await carrier.over(call.sid)
    assert bot.sockets.items == []
    assert entry["streams"][0]["ended_by"] == "refused"
    await carrier.quiet()
    assert stream_events(customer) == ["stream-error"]
    assert "/next" not in customer.paths()


async def test_action_may_follow_a_refused_stream(
    carrier: Carrier, customer: Customer, bot: Bot
) -> None:
    carrier.change(faults={"stream_refused": 1}, after_refused_stream="action")
    customer.says("/voice", stream(bot, "<Redirect>/then</Redirect>"))
    customer.says("/next", "<Response/>")
    call = await carrier.call(url=f"{customer.url}/voice")
    await carrier.over(call.sid)
    assert customer.paths().count("/next") == 1
    assert "/then" not in customer.paths()


async def test_a_half_open_stream_is_noticed_by_nobody(
    carrier: Carrier, customer: Customer, bot: Bot
) -> None:
    carrier.change(faults={"stream_half_open": 1, "stream_half_open_seconds": 0.3})
    person = carrier.people[ANYONE] = Somebody()
    customer.says("/voice", stream(bot))
    customer.says("/next", "<Response/>")
    call = await carrier.call(url=f"{customer.url}/voice")
    socket = await bot.socket()
    heard = await frames_until_nothing_comes(carrier, person, socket.seen.items)
    await socket.mark("lost")  # what the bot sends arrives nowhere
    closing = asyncio.create_task(socket.connection.close())  # nor does its close
    await until(lambda: len(person.behaviours[0].heard) > heard + 25)
    assert carrier.entry(call.sid)["status"] == "in-progress"
    assert "/next" not in customer.paths()
    await carrier.sdk(lambda client: client.calls(call.sid).update(status="completed"))
    entry = await carrier.over(call.sid)
    assert (entry["streams"][0]["ended_by"], entry["streams"][0]["fault"]) == (
        "caller",
        "stream_half_open",
    )
    await closing  # the bot is let go once the call is over
    await socket.closed.wait()
    assert {item["event"] for item in socket.seen.items} == {"connected", "start", "media"}


async def frames_until_nothing_comes(
    carrier: Carrier, person: Somebody, items: list[dict[str, Any]]
) -> int:
    """Wait until the line has moved half a second without the bot being told."""
    told, since = len(items), 0

    def silent() -> bool:
        nonlocal told, since
        frames = len(person.behaviours[0].heard)
        if len(items) > told:
            told, since = len(items), frames
        return frames - since > 40 and frames > 60

    await until(silent)
    return len(person.behaviours[0].heard)


async def test_a_slow_stream_opens_while_the_person_waits(carrier: Carrier, bot: Bot) -> None:
    faults = Faults(stream_slow=1, stream_slow_seconds=1)

    def slow(seed: int) -> bool:
        fate = stream_fate(faults, seed, KEY, 1)
        return fate is not None and fate.seconds > 0.7

    carrier.change(seed=seed_for(slow), faults={"stream_slow": 1, "stream_slow_seconds": 1})
    twiml = f"<Response><Connect><Stream url='{bot.url}'/></Connect></Response>"
    call = await carrier.call(twiml=twiml)
    socket = await bot.socket()
    entry = carrier.entry(call.sid)
    assert entry["streams"][0]["started_at"] - entry["answered_at"] >= 0.7
    await socket.connection.close()
    await carrier.over(call.sid)


async def test_a_hang_up_does_not_wait_for_a_slow_stream(carrier: Carrier, bot: Bot) -> None:
    carrier.change(faults={"stream_slow": 1, "stream_slow_seconds": 3600})
    carrier.people[ANYONE] = Somebody(hang_up_at=0.1)
    twiml = f"<Response><Connect><Stream url='{bot.url}'/></Connect></Response>"
    entry = await carrier.over((await carrier.call(twiml=twiml)).sid)
    assert entry["streams"][0]["ended_by"] == "person"
    assert bot.sockets.items == []


@pytest.mark.parametrize("lost", [True, False])
async def test_of_a_doubled_action_one_answer_counts(
    carrier: Carrier, customer: Customer, bot: Bot, lost: bool
) -> None:
    seed = seed_for(lambda seed: action_answer_is_lost(seed, KEY, 1) == lost)
    carrier.change(seed=seed, faults={"action_doubled": 1})
    customer.says("/voice", stream(bot))
    customer.says(
        "/next",
        "<Response><Redirect>/first</Redirect></Response>",
        "<Response><Redirect>/second</Redirect></Response>",
    )
    customer.says("/first", "<Response/>")
    customer.says("/second", "<Response/>")
    call = await carrier.call(url=f"{customer.url}/voice")
    await (await bot.socket()).connection.close()
    await carrier.over(call.sid)
    second = await customer.asked("/next", 2)
    tokens = {item.headers["i-twilio-idempotency-token"] for item in customer.seen.items}
    assert second.signed
    assert len(tokens) < len(customer.seen.items)  # both carry the same one
    assert ("/second" in customer.paths()) == lost
    assert ("/first" in customer.paths()) != lost
    assert carrier.ledger()["faults"] == {"action_doubled": 1}


async def test_action_after_an_update_can_be_switched_on(
    carrier: Carrier, customer: Customer, bot: Bot
) -> None:
    carrier.change(action_on_update=True)
    customer.says("/voice", stream(bot))
    customer.says("/next", "<Response><Redirect>/never</Redirect></Response>")
    customer.says("/other", "<Response><Pause length='60'/></Response>")
    call = await carrier.call(url=f"{customer.url}/voice")
    await bot.socket()
    await carrier.sdk(lambda client: client.calls(call.sid).update(url=f"{customer.url}/other"))
    asked = await customer.asked("/next")
    assert (asked.form["CallStatus"], asked.signed) == ("in-progress", True)
    await customer.asked("/other")
    await carrier.sdk(lambda client: client.calls(call.sid).update(status="completed"))
    await carrier.over(call.sid)
    assert customer.paths().count("/next") == 1  # no stream was left the second time
    assert "/never" not in customer.paths()  # its answer is executed by nobody


async def test_action_on_a_hang_up_may_come_twice(
    carrier: Carrier, customer: Customer, bot: Bot
) -> None:
    carrier.change(action_on_hangup=True, faults={"action_doubled": 1})
    carrier.people[ANYONE] = Somebody(hang_up_at=0.3)
    customer.says("/voice", stream(bot))
    call = await carrier.call(url=f"{customer.url}/voice")
    assert (await customer.asked("/next", 2)).form["CallStatus"] == "completed"
    await carrier.over(call.sid)


async def test_redirects_with_pauses_between_end_at_ten_as_well(
    carrier: Carrier, customer: Customer
) -> None:
    carrier.change(audio=False, talk_seconds=[60, 60])
    customer.says(
        "/voice", "<Response><Say>Wait.</Say><Redirect method='POST'>/voice</Redirect></Response>"
    )
    call = await carrier.call(url=f"{customer.url}/voice")
    entry = await carrier.over(call.sid)
    assert entry["problems"][0]["code"] == 11215
    assert customer.paths().count("/voice") == 11

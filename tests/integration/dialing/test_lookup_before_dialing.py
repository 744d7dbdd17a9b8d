"""A template's lookup: asked of a real server before the call, kept, and acted on."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from dialing_world import World
from outdial.domain.internet_address import read_allow_list
from outdial.operations.claim_due_leads import dispatch
from outdial.operations.conversation_record import fill_for_call, open_conversation
from outdial.operations.guarded_http import MAX_BYTES, GuardedHttp
from outdial.operations.look_up import look_up
from outdial.operations.pace import attempts_ahead
from outdial.operations.stop_attempts import stop_attempts
from outdial.operations.why_not_called import why_not_called
from outdial.storage import call_events
from outdial.storage.tables import Attempt, Lead
from outdial_media.conversation import Kit
from outdial_media.preparation import Preparation
from polling import until

pytestmark = pytest.mark.integration

SECRET = "the-secret-of-the-shop"
FOUND = {"order": {"day": "Monday", "left": 12.5}, "closed": False}


@dataclass
class Shop:
    """The operator's own system. What it answers is set by the test."""

    port: int = 0
    body: bytes = json.dumps(FOUND).encode()
    status: str = "200 OK"
    more: str = ""
    silent: bool = False
    heads: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if self.silent:
            await reader.read()  # until the client has gone
        else:
            length = f"Content-Length: {len(self.body)}\r\n{self.more}\r\n"
            writer.write(f"HTTP/1.1 {self.status}\r\n{length}".encode() + self.body)
        writer.close()


@pytest.fixture
async def shop(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setenv("OUTDIAL_TOOL_SECRET_SHOP", SECRET)
    made = Shop()
    listening = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[GuardedHttp]:
    """A guard that opens this machine."""
    opened = GuardedHttp(read_allow_list("127.0.0.1"))
    yield opened
    await opened.close()


async def a_lead(world: World, shop: Shop, **lookup: Any) -> Lead:
    """A lead of a template that looks its order up; the variables it brings have odd characters."""
    asked = {
        "http": {
            "url": f"http://127.0.0.1:{shop.port}/orders/{{{{order}}}}",
            "headers": {"Authorization": "Bearer secret:SHOP"},
            "timeout_seconds": 0.5,
        },
        "variables": {"day": "order.day", "left": "order.left"},
        "defaults": {"day": "soon", "left": 0},
        "do_not_call_if": "closed",
        **lookup,
    }
    template = await world.add_template(
        lookup=asked,
        agent={
            "name": "Ada",
            "greeting": "It comes {{day}}, {{left}} left.",
            "prompt": "Be brief.",
        },
        prepare="none",
    )
    world.template_id = template
    return await world.add_lead(variables={"order": "A/7 ?"})


async def answer_of(world: World, attempt: Attempt) -> dict[str, Any]:
    """What is kept of the lookup."""
    async with world.runtime.sessions() as session:
        rows = await call_events.of_attempt(session, attempt.id)
    (row,) = [row for row in rows if row.kind == "looked_up"]
    return dict(row.payload)


async def greeting(world: World, attempt: Attempt) -> str:
    brief = await open_conversation(world.runtime, attempt.id, 1)
    assert brief is not None
    assert not brief.awaits_lookup
    return brief.greeting


async def test_nobody_is_dialed_before_it_is_answered(
    world: World, shop: Shop, http: GuardedHttp
) -> None:
    attempt = await world.claim(await a_lead(world, shop))
    assert await world.place(attempt.id) == {}
    assert world.carrier.posts == []
    before = await open_conversation(world.runtime, attempt.id, 1)
    assert before is not None
    assert before.awaits_lookup
    await look_up(world.runtime, http, attempt.id)
    assert await world.place(attempt.id) == {"Accepted": 1}
    assert await greeting(world, attempt) == "It comes Monday, 12.5 left."
    (head,) = shop.heads
    assert head.startswith("GET /orders/A%2F7%20%3F HTTP/1.1")
    assert f"authorization: Bearer {SECRET}" in head.replace("Authorization", "authorization")


async def test_the_record_has_what_was_found_and_no_secret(
    world: World, shop: Shop, http: GuardedHttp
) -> None:
    shop.body = json.dumps({"order": {"day": f"Bearer {SECRET}", "left": 1}}).encode()
    attempt = await world.claim(await a_lead(world, shop))
    await look_up(world.runtime, http, attempt.id)
    kept = await answer_of(world, attempt)
    assert (kept["status"], kept["http"]) == ("found", 200)
    assert kept["ms"] >= 0
    assert kept["values"] == {"day": "Bearer [secret]", "left": 1}
    assert SECRET not in json.dumps(kept)


def _large(shop: Shop) -> None:
    shop.body = b" " * MAX_BYTES + json.dumps(FOUND).encode()


def _moved(shop: Shop) -> None:
    shop.status, shop.more = "302 Found", f"Location: http://127.0.0.1:{shop.port}/\r\n"


def _silent(shop: Shop) -> None:
    shop.silent = True


def _no_json(shop: Shop) -> None:
    shop.body = b"<html>"


def _other_json(shop: Shop) -> None:
    shop.body = b'{"order": {"day": ["Monday"]}}'


def _gone(shop: Shop) -> None:
    shop.status = "404 Not Found"


FAILURES = [
    (_large, "DecodingError"),
    (_moved, "302"),
    (_silent, "within 0.5 seconds"),
    (_no_json, "no JSON"),
    (_other_json, "order.day is neither"),
    (_gone, "404"),
]


@pytest.mark.parametrize(("break_it", "words"), FAILURES, ids=lambda p: getattr(p, "__name__", ""))
async def test_without_an_answer_the_call_is_made_with_the_defaults(
    world: World, shop: Shop, http: GuardedHttp, break_it: Any, words: str
) -> None:
    break_it(shop)
    attempt = await world.claim(await a_lead(world, shop))
    await look_up(world.runtime, http, attempt.id)
    kept = await answer_of(world, attempt)
    assert kept["status"] == "failed"
    assert words in kept["error"]
    assert len(shop.heads) == 1, "no redirect is followed, nothing is asked again"
    assert await world.place(attempt.id) == {"Accepted": 1}
    assert await greeting(world, attempt) == "It comes soon, 0 left."


async def test_without_an_answer_nobody_is_called_where_the_template_says_so(
    world: World, shop: Shop, http: GuardedHttp
) -> None:
    shop.silent = True
    lead = await a_lead(world, shop, on_failure="do_not_call", defaults={})
    attempt = await world.claim(lead)
    await look_up(world.runtime, http, attempt.id)
    ended = await world.attempt(attempt.id)
    assert (ended.state, ended.spent, ended.facts["refusal"]) == ("ended", False, "lookup_failed")
    waiting = await world.lead(lead.id)
    assert (waiting.state, waiting.refusal) == ("backlog", "lookup_failed")
    assert waiting.next_attempt_at is not None
    assert "its lookup failed" in why_not_called(waiting, [], None)
    assert await world.place(attempt.id) == {}
    assert world.carrier.posts == []
    # The next time it is asked anew.
    shop.silent = False
    await world.make_due(lead)
    again = await world.claim(lead)
    await look_up(world.runtime, http, again.id)
    assert await world.place(again.id) == {"Accepted": 1}


async def test_the_operators_own_system_may_end_a_lead(
    world: World, shop: Shop, http: GuardedHttp
) -> None:
    shop.body = b'{"closed": true}'
    lead = await a_lead(world, shop)
    attempt = await world.claim(lead)
    await look_up(world.runtime, http, attempt.id)
    ended = await world.attempt(attempt.id)
    assert (ended.outcome, ended.spent, ended.facts["refusal"]) == (
        "canceled",
        False,
        "lookup_says_no",
    )
    done = await world.lead(lead.id)
    assert (done.state, done.outcome) == ("finished", "canceled")
    assert (await answer_of(world, attempt))["status"] == "says_no"
    assert world.carrier.posts == []


async def test_an_internal_address_is_not_asked(world: World, shop: Shop) -> None:
    closed = GuardedHttp(read_allow_list(""))
    attempt = await world.claim(await a_lead(world, shop))
    await look_up(world.runtime, closed, attempt.id)
    await closed.close()
    assert shop.heads == []
    assert (await answer_of(world, attempt))["error"] == "this is not set up"


async def test_asked_twice_at_once_one_answer_counts(
    world: World, shop: Shop, http: GuardedHttp
) -> None:
    attempt = await world.claim(await a_lead(world, shop))
    await asyncio.gather(*(look_up(world.runtime, http, attempt.id) for _ in range(3)))
    await look_up(world.runtime, http, attempt.id)
    assert await answer_of(world, attempt)
    assert await world.place(attempt.id) == {"Accepted": 1}


async def test_a_call_that_was_stopped_meanwhile_stays_so(
    world: World, shop: Shop, http: GuardedHttp
) -> None:
    shop.silent = True
    lead = await a_lead(world, shop)
    attempt = await world.claim(lead)
    asking = asyncio.create_task(look_up(world.runtime, http, attempt.id))
    await until(lambda: bool(shop.heads))
    async with world.runtime.sessions.begin() as session:
        locked = await session.get_one(Attempt, attempt.id, with_for_update=True)
        await stop_attempts(session, [locked], "canceled")  # type: ignore[arg-type]
    await asking
    assert await world.events_of(attempt.id) != []
    assert await world.place(attempt.id) == {}
    assert world.carrier.posts == []


async def test_a_slow_system_does_not_use_up_the_room_of_others(world: World, shop: Shop) -> None:
    slow = replace(world.runtime, settings=world.runtime.settings.model_copy(
        update={"calls_per_second": 1.0}
    ))  # fmt: skip
    ahead = attempts_ahead(slow.settings)
    plain = world.template_id
    for _ in range(ahead):
        await a_lead(world, shop)
    assert len((await dispatch(slow)).claimed) == ahead
    world.template_id = plain
    await world.add_lead()
    assert len((await dispatch(slow)).claimed) == 1, "those that are asking are not in the way"


async def test_the_pod_that_holds_the_slot_asks(
    world: World, shop: Shop, http: GuardedHttp
) -> None:
    attempt = await world.claim(await a_lead(world, shop))
    kit = Kit(world.runtime, Mock(), Mock(), http)  # neither is needed: prepare is none
    preparation = Preparation(kit)
    preparation.follow([attempt.id])
    await until(lambda: _is_answered(world, attempt))
    await preparation.close()
    assert len(shop.heads) == 1
    assert await world.place(attempt.id) == {"Accepted": 1}


async def test_a_pod_whose_store_was_away_asks_at_its_next_beat(
    world: World, shop: Shop, http: GuardedHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = await world.claim(await a_lead(world, shop))
    preparation = Preparation(Kit(world.runtime, Mock(), Mock(), http))
    with monkeypatch.context() as away:
        away.setattr("outdial_media.preparation.look_up", AsyncMock(side_effect=OSError("away")))
        preparation.follow([attempt.id])
        await until(lambda: not preparation.attempts)
    preparation.follow([attempt.id])
    await until(lambda: _is_answered(world, attempt))
    await preparation.close()


async def test_with_one_fixed_pod_the_worker_asks(world: World, shop: Shop) -> None:
    settings = {"routing": "static", "http_tools_allow": "127.0.0.1"}
    settings["static_stream_url"] = "wss://outdial.test/ws"
    runtime = replace(world.runtime, settings=world.runtime.settings.model_copy(update=settings))
    world.runtime = runtime
    attempt = await world.claim(await a_lead(world, shop))
    assert await world.place(attempt.id) == {}, "its answer sends the next hint"
    assert await world.place(attempt.id) == {"Accepted": 1}


async def test_what_is_said_to_a_human_has_it_too(
    world: World, shop: Shop, http: GuardedHttp
) -> None:
    attempt = await world.claim(await a_lead(world, shop))
    await look_up(world.runtime, http, attempt.id)
    async with world.runtime.sessions() as session:
        assert await fill_for_call(session, attempt, "On {{day}}.", "en") == "On Monday."


async def _is_answered(world: World, attempt: Attempt) -> bool:
    return ("dialer", "looked_up") in await world.events_of(attempt.id)

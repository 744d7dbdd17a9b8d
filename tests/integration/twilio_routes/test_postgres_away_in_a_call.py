"""Postgres is away when a stream or a dial ends: the call waits for it, and then means the same."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI

from outdial.domain.call_template import Agent, CallTemplate, Transfer
from outdial.domain.phrases import phrases_for
from outdial.operations import continue_call
from outdial.operations.create_template import create_template
from outdial.operations.move_call import move_call
from outdial.operations.runtime import open_runtime
from outdial.operations.transfer_call import transfer_call
from outdial.routing.stream_token import verify
from outdial.storage import attempts
from outdial.storage.tables import Attempt
from twilio_world import Twilio, World, element, swap, verbs

pytestmark = pytest.mark.integration

HOLD = ["Say", "Pause", "Redirect"]


@pytest.fixture
async def talking(world: World) -> World:
    """The call is talked to on pod-1, and pod-2 has room."""
    await world.pods("pod-1", "pod-2")
    assert await world.reserve() == "pod-1"
    await world.change(state="in_progress")
    return world


@asynccontextmanager
async def away(app: FastAPI) -> AsyncIterator[None]:
    """Postgres refuses connections until the end of the block."""
    runtime = app.state.runtime
    update = {"database_url": "postgresql://x:y@127.0.0.1:9/x"}
    async with open_runtime(runtime.settings.model_copy(update=update)) as nowhere:
        swap(app, sessions=nowhere.sessions)
        app.state.writing._runtime = app.state.runtime
        try:
            yield
        finally:
            swap(app, sessions=runtime.sessions)
            app.state.writing._runtime = app.state.runtime


class Asking:
    """Twilio, that does not wait for what is written after an answer."""

    def __init__(self, twilio: Twilio, app: FastAPI) -> None:
        self._twilio = twilio
        self._app = app

    async def post(self, path: str, form: dict[str, str] | None = None) -> httpx.Response:
        writing, self._app.state.writing = self._app.state.writing, _Nothing()
        try:
            return await self._twilio.post(path, form)
        finally:
            self._app.state.writing = writing

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        """Do what the Redirect says."""
        url = element(answer, "Redirect").text or ""
        return await self.post(url.partition("#")[0].removeprefix("https://outdial.test"))


class _Nothing:
    def put(self, *_told: object) -> None:
        """What is written is not looked at here."""

    async def after(self, work: Callable[..., Awaitable[None]], *args: object) -> None:
        await work(*args)

    async def written(self) -> None:
        """All of nothing."""


@pytest.fixture
def asking(twilio: Twilio, app: FastAPI) -> Asking:
    return Asking(twilio, app)


def stream_of(answer: httpx.Response, world: World) -> tuple[str, int]:
    url = element(answer, "Stream").attrib["url"]
    claims = verify(world.runtime.settings.stream_secret, url.rsplit("/", 1)[1], time.time())
    return url.split("/pods/")[1].split("/")[0], claims.stream_no


def ended(world: World, stream_no: int = 1) -> str:
    return f"/twilio/callback/stream-ended/{world.attempt_id}/{stream_no}"


async def test_a_lost_stream_waits_for_postgres_and_is_resumed_as_if_at_once(
    app: FastAPI, asking: Asking, talking: World
) -> None:
    async with away(app):
        first = await asking.post(ended(talking))
        second = await asking.follow(first)
    assert verbs(first) == verbs(second) == HOLD
    assert (await talking.attempt()).stream_no == 1
    assert stream_of(await asking.follow(second), talking) == ("pod-2", 2)
    # The holds were no resumes: the call may still be moved as often as any other.
    await talking.pods("pod-1", "pod-2", slots=9)
    assert stream_of(await asking.post(ended(talking, 2)), talking)[1] == 3


async def test_away_for_too_long_it_is_goodbye(
    app: FastAPI, asking: Asking, talking: World
) -> None:
    async with away(app):
        answer = await asking.post(f"{ended(talking)}?lang=it-IT")
        for _ in range(talking.runtime.settings.hold_times):
            assert verbs(answer) == HOLD
            assert element(answer, "Say").text == phrases_for("it").hold
            answer = await asking.follow(answer)
        assert verbs(answer) == ["Say", "Hangup"]
        assert element(answer, "Say").text == phrases_for("it").unable
    assert (await talking.attempt()).stream_no == 1


async def test_holds_for_postgres_and_for_a_pod_are_bounded_together(
    app: FastAPI, asking: Asking, world: World
) -> None:
    await world.pods("pod-1")
    await world.reserve()
    await world.change(state="in_progress")
    async with away(app):
        answer = await asking.post(ended(world))
        answer = await asking.follow(answer)
    answer = await asking.follow(answer)  # it is back, and pod-1 has just lost the call
    assert verbs(answer) == HOLD
    assert "/twilio/voice/" in (element(answer, "Redirect").text or "")
    await world.runtime.redis.delete("outdial:pods")  # nobody else comes either
    assert verbs(await asking.follow(answer)) == ["Say", "Hangup"]


@pytest.mark.parametrize("plan", ["hangup", "voicemail"])
async def test_after_the_wait_the_plan_answers(
    app: FastAPI, asking: Asking, talking: World, plan: str
) -> None:
    await talking.change(plan=plan)
    async with away(app):
        held = await asking.post(ended(talking))
    expected = {"hangup": ["Hangup"], "voicemail": ["Say", "Redirect"]}
    assert verbs(await asking.follow(held)) == expected[plan]


async def test_asked_twice_while_it_is_away_the_call_is_moved_once(
    app: FastAPI, asking: Asking, talking: World
) -> None:
    async with away(app):
        held = [await asking.post(ended(talking)) for _ in range(2)]
    answers = await asyncio.gather(*(asking.follow(answer) for answer in held))
    assert {stream_of(answer, talking) for answer in answers} == {("pod-2", 2)}
    assert (await talking.attempt()).stream_no == 2


async def test_committed_but_answered_too_late_it_is_not_moved_again(
    asking: Asking, talking: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres takes the next stream's number, and then hangs before it can be told to Twilio."""
    monkeypatch.setattr(continue_call, "PATIENCE_SECONDS", 0.5)
    read, frozen = continue_call.read_attempt, asyncio.Event()

    async def hangs_after_the_commit(*args: object) -> Attempt | None:
        found = await read(*args)  # type: ignore[arg-type]
        if found is not None and found.stream_no == 2 and not frozen.is_set():
            frozen.set()
            await asyncio.Event().wait()
        return found

    monkeypatch.setattr(continue_call, "read_attempt", hangs_after_the_commit)
    held = await asking.post(ended(talking))
    assert verbs(held) == HOLD
    assert frozen.is_set()
    assert stream_of(await asking.follow(held), talking) == ("pod-2", 2)
    assert (await talking.attempt()).stream_no == 2


async def test_asked_too_early_what_is_abandoned_moves_nothing(
    asking: Asking, talking: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody holds the row for longer than the person can be left in silence."""
    monkeypatch.setattr(continue_call, "PATIENCE_SECONDS", 0.5)
    async with talking.runtime.sessions.begin() as session:
        await attempts.lock(session, talking.attempt_id)
        held = await asking.post(ended(talking))
    assert verbs(held) == HOLD
    monkeypatch.setattr(continue_call, "PATIENCE_SECONDS", 10.0)
    assert stream_of(await asking.follow(held), talking) == ("pod-2", 2)
    assert (await talking.attempt()).stream_no == 2


@pytest.mark.parametrize("told", [True, False], ids=["watcher-tells", "watcher-dies"])
async def test_what_the_watcher_is_just_moving_is_not_connected_twice(
    app: FastAPI, asking: Asking, talking: World, told: bool
) -> None:
    async with away(app):
        held = await asking.post(ended(talking))
    # The watcher of silent pods commits the next stream; its word to the carrier is on its way.
    lost = ("pod-1", "b1")
    assert await move_call(talking.runtime, talking.attempt_id, 1, lost, "silent_pod") is not None
    waiting = await asking.follow(held)
    assert verbs(waiting) == HOLD
    if told:  # then the carrier has dropped the Redirect; one under way finds where it went
        async with talking.runtime.sessions.begin() as session:
            await attempts.assign_pod(session, talking.attempt_id, "pod-2", "b1")
    else:
        waiting = await asking.follow(waiting)
        assert verbs(waiting) == HOLD
    assert stream_of(await asking.follow(waiting), talking) == ("pod-2", 2)
    assert (await talking.attempt()).stream_no == 2


async def test_a_dial_that_failed_waits_and_the_agent_takes_the_call_back(
    app: FastAPI, asking: Asking, talking: World
) -> None:
    template = CallTemplate("x", Agent("Ada", "Hello.", "Ask."), transfer=Transfer("+15550009999"))
    row = await create_template(talking.runtime, template)
    await talking.change(template_id=row.id)
    assert await transfer_call(talking.runtime, talking.attempt_id)
    path = f"/twilio/callback/transfer-ended/{talking.attempt_id}"
    async with away(app):
        held = await asking.post(path, {"DialCallStatus": "busy"})
        assert verbs(held) == HOLD
        held = await asking.follow(held)  # a Redirect tells nothing of the dial
    assert stream_of(await asking.follow(held), talking)[1] == 2
    (told,) = [event for event in await talking.events() if event.source == "transfer"]
    assert (told.payload["DialCallStatus"], told.payload["back_on"]) == ("busy", 2)


async def test_what_was_told_meanwhile_is_written_when_postgres_is_back(
    app: FastAPI, twilio: Twilio, talking: World
) -> None:
    async with away(app):
        asked = asyncio.create_task(twilio.post(ended(talking)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.shield(asked)  # it waits for what is to be written
        assert await talking.events() == []
    assert verbs(await asked) == HOLD
    kinds = {(event.source, event.kind) for event in await talking.events()}
    assert kinds == {("stream", "ended"), ("gateway", "held")}

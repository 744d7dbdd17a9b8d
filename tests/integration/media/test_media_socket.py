"""Who is let in: refused sockets are refused before they are accepted."""

from asyncio import Future
from collections.abc import Callable

import httpx
import pytest
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from calls import make_call, record_of, socket_url
from conftest import RunningPod
from media_line import open_line
from outdial.operations.runtime import Runtime
from outdial.routing import slot_reservation
from outdial.settings import Settings
from outdial_sandbox.people.people import who_answers
from polling import until

pytestmark = pytest.mark.integration


async def _status(url: str, headers: dict[str, str] | None = None) -> int:
    """What the handshake is answered with."""
    try:
        async with connect(url, additional_headers=headers, compression=None):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def _silent() -> object:
    return who_answers("+12025550111").start(1)


async def _nothing_is_written(runtime: Runtime, attempt_id: object) -> bool:
    record = await record_of(runtime, attempt_id)  # type: ignore[arg-type]
    return not record.events


async def test_sockets_without_a_good_token_are_refused(pod: RunningPod) -> None:
    called = await make_call(pod.runtime)
    base = f"{pod.runtime.settings.pod_public_url}/ws/{called.template_id}"
    assert await _status(f"{base}/") in {403, 404}
    assert await _status(f"{base}/no-token") == 403
    assert await _status(socket_url(pod.runtime, called, "another-boot")) == 403
    assert await _status(socket_url(pod.runtime, called, pod.pod.boot_id, lifetime=-1)) == 403
    assert await _nothing_is_written(pod.runtime, called.attempt_id)


async def test_a_token_opens_one_socket(pod: RunningPod) -> None:
    called = await make_call(pod.runtime)
    url = socket_url(pod.runtime, called, pod.pod.boot_id)
    async with open_line(url, _silent()) as line:  # type: ignore[arg-type]
        await line.agent_was_heard.wait()
        assert await _status(url) == 409
        # Nor does a second token for a call that goes on.
        another = socket_url(pod.runtime, called, pod.pod.boot_id, lifetime=50)
        assert await _status(another) == 409


async def test_a_signature_must_be_right_if_there_is_one(pod: RunningPod) -> None:
    called = await make_call(pod.runtime)
    url = socket_url(pod.runtime, called, pod.pod.boot_id)
    assert await _status(url, {"x-twilio-signature": "wrong"}) == 403
    token = pod.runtime.settings.twilio_auth_token.get_secret_value()
    signature = RequestValidator(token).compute_signature(url, {})
    assert await _status(url, {"x-twilio-signature": signature}) == 101


async def test_a_full_pod_has_no_room(
    start_pod: Callable[[Settings], Future[RunningPod]], media_settings: Settings
) -> None:
    pod = await start_pod(media_settings.model_copy(update={"pod_slots": 1}))
    first, second = await make_call(pod.runtime), await make_call(pod.runtime)
    url = socket_url(pod.runtime, first, pod.pod.boot_id)
    async with open_line(url, _silent()) as line:  # type: ignore[arg-type]
        await line.agent_was_heard.wait()
        assert await _status(socket_url(pod.runtime, second, pod.pod.boot_id)) == 503


async def test_a_socket_for_an_older_stream_of_its_call_is_closed_unheard(pod: RunningPod) -> None:
    called = await make_call(pod.runtime)
    url = socket_url(pod.runtime, called, pod.pod.boot_id, stream_no=2)
    async with open_line(url, _silent()) as line:  # type: ignore[arg-type]
        await line.closed.wait()
        assert not line.agent_was_heard.is_set()
    assert await _nothing_is_written(pod.runtime, called.attempt_id)


async def test_what_is_reserved_is_prepared_and_what_is_not_any_more_is_dropped(
    pod: RunningPod,
) -> None:
    redis, preparation = pod.runtime.redis, pod.pod._preparation
    await slot_reservation.rebuild(redis, [])
    talked, dropped = await make_call(pod.runtime), await make_call(pod.runtime)
    for called in (talked, dropped):
        slot = await slot_reservation.reserve(redis, called.attempt_id, 60)
        assert isinstance(slot, slot_reservation.Slot)
    await until(lambda: len(preparation.attempts) == 2)
    await until(lambda: all(work.done() for work in preparation._work.values()))

    url = socket_url(pod.runtime, talked, pod.pod.boot_id)
    async with open_line(url, _silent()) as line:  # type: ignore[arg-type]
        await line.agent_was_heard.wait()
        assert preparation.attempts == [dropped.attempt_id]
    await slot_reservation.release(redis, dropped.attempt_id)
    await until(lambda: not preparation.attempts)
    assert await _nothing_is_written(pod.runtime, dropped.attempt_id)


async def test_health_and_numbers(pod: RunningPod) -> None:
    base = f"http://127.0.0.1:{pod.runtime.settings.port}"
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{base}/health")).status_code == 200
        assert "outdial_pod_live_calls" in (await client.get(f"{base}/metrics")).text

"""Everything about one call: its record, and its recording behind our own door."""

from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api_calls_world import PHONE, ask, attempt_for
from outdial.domain.attempt_state import AttemptState
from outdial.operations.runtime import Runtime
from outdial.settings import Settings
from outdial.storage import recordings, transcripts

pytestmark = pytest.mark.integration


async def test_everything_about_a_call(api: httpx.AsyncClient, stores: Runtime) -> None:
    call = await ask(api)
    attempt_id = await attempt_for(stores, call["id"], AttemptState.IN_PROGRESS, "CA1")
    async with stores.sessions.begin() as session:
        await transcripts.save_turn(session, attempt_id, 1, 0, role="agent", text="Hello")
        await transcripts.save_turn(
            session, attempt_id, 1, 1, role="person", text="Yes", latency_ms=700
        )
        await transcripts.save_tool_call(
            session, attempt_id, 1, call_id="t1", name="end_call", arguments={}
        )
        await recordings.save(session, attempt_id, "RE1", url="x", status="completed", channels=2)
    for known in (call["id"], str(attempt_id)):
        found = (await api.get(f"/v1/calls/{known}")).json()
        assert found["id"] == known
        assert found["attempt_id"] == str(attempt_id)
        assert [turn["text"] for turn in found["transcript"]] == ["Hello", "Yes"]
        assert [tool["name"] for tool in found["tools"]] == ["end_call"]
        assert found["recordings"][0]["recording_sid"] == "RE1"
        assert "url" not in found["recordings"][0]
        assert found["latencies"]["replies_ms"] == [700]
        assert found["lead"]["contacts"][0]["phone"] == PHONE
    listed = (await api.get("/v1/calls?live=true")).json()["items"]
    assert [one["id"] for one in listed] == [str(attempt_id)]


class _Wav(BaseHTTPRequestHandler):
    seen: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        body = b"RIFF" + b"\0" * 100_000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
async def shelf(settings: Settings) -> AsyncIterator[tuple[str, list[tuple[str, str | None]]]]:
    """A carrier's shelf of recordings: its address, and what was asked of it."""
    seen: list[tuple[str, str | None]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Wav", (_Wav,), {"seen": seen}))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_recording_behind_our_own_door(
    app: FastAPI,
    stores: Runtime,
    api: httpx.AsyncClient,
    settings: Settings,
    shelf: tuple[str, list[tuple[str, str | None]]],
) -> None:
    address, seen = shelf
    there = settings.model_copy(update={"twilio_api_base_url": address})
    object.__setattr__(stores, "settings", there)
    call = await ask(api)
    attempt_id = await attempt_for(stores, call["id"], AttemptState.IN_PROGRESS, "CA1")
    path = f"/v1/calls/{attempt_id}/recording"
    assert (await api.get(path)).status_code == 404
    folder = f"/2010-04-01/Accounts/{settings.twilio_account_sid}/Recordings/"
    for url, status in [
        (f"http://169.254.169.254{folder}RE1", 404),
        (address + folder + "RE1", 200),
    ]:
        async with stores.sessions.begin() as session:
            await session.execute(text("DELETE FROM recordings"))
            await recordings.save(session, attempt_id, "RE1", url=url, status="completed")
        answer = await api.get(path)
        assert answer.status_code == status, url
    assert answer.headers["content-type"] == "audio/x-wav"
    assert answer.content.startswith(b"RIFF")
    assert len(answer.content) == 100_004
    assert [asked for asked, _ in seen] == [f"{folder}RE1.wav?RequestedChannels=2"]
    assert (await api.get(path, headers={"Authorization": ""})).status_code == 401

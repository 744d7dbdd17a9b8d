"""The carrier's answers as values, over real sockets: what is certain, and what is not."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl
from uuid import uuid4

import pytest

from outdial.settings import Settings
from outdial.telephony.callbacks import AnswerHint
from outdial.telephony.dial_result import (
    Accepted,
    AlreadyEnded,
    CarrierAway,
    CarrierCall,
    NoSuchCall,
    NotSent,
    NotUpdated,
    OutcomeUnknown,
    Rejected,
    Updated,
)
from outdial.telephony.twilio_client import NOT_DEPARTED, PlaceCall, TwilioCarrier

pytestmark = pytest.mark.integration

Reply = Callable[["Far"], None]


async def connected(carrier: "Carrier") -> None:
    """Wait until somebody has connected."""
    deadline = time.monotonic() + 5
    while not carrier.server.connections:  # type: ignore[attr-defined]
        assert time.monotonic() < deadline, "nobody connects"
        await asyncio.sleep(0.01)


class Far(BaseHTTPRequestHandler):
    """A far end that answers as the test says, and remembers what it was asked."""

    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        self.server.read_at.append(time.monotonic())  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.asked.append((self.command, self.path, body))  # type: ignore[attr-defined]
        self.server.reply(self)  # type: ignore[attr-defined]

    do_GET = do_POST  # noqa: N815 - the server looks it up by this name

    def log_message(self, *_args: object) -> None:
        """Say nothing."""

    def send(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())


class Carrier:
    def __init__(self, settings: Settings) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Far)
        self.server.daemon_threads = True
        self.server.asked = []  # type: ignore[attr-defined]
        self.server.connections = 0  # type: ignore[attr-defined]
        self.server.read_at = []  # type: ignore[attr-defined]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        self.settings = settings.model_copy(
            update={
                "twilio_api_base_url": f"http://127.0.0.1:{self.server.server_port}",
                "post_timeout_seconds": 0.6,
            }
        )
        self.client = TwilioCarrier(self.settings)
        self.replies(answering(201, call_json()))

    @property
    def asked(self) -> list[tuple[str, str, str]]:
        return self.server.asked  # type: ignore[attr-defined, no-any-return]

    def replies(self, reply: Reply) -> None:
        self.server.reply = reply  # type: ignore[attr-defined]

    def close(self) -> None:
        self.client.close()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def call_json(**changes: object) -> str:
    call: dict[str, object] = {
        "sid": "CA1",
        "to": "+15550000001",
        "from": "+15005550006",
        "status": "in-progress",
        "direction": "outbound-api",
        "answered_by": None,
        "duration": "12",
        "date_created": "Sun, 01 Mar 2026 11:59:58 +0000",
        "start_time": None,
        "end_time": None,
    }
    return json.dumps(call | changes)


def answering(status: int, body: object) -> Reply:
    text = body if isinstance(body, str) else json.dumps(body)
    return lambda far: far.send(status, text)


def refusing(status: int, code: int) -> Reply:
    body = {"code": code, "message": "no", "more_info": "", "status": status}
    return answering(status, body)


def resetting(far: Far) -> None:
    """The request was read; the connection dies without an answer."""
    far.close_connection = True
    far.connection.shutdown(socket.SHUT_RDWR)


def stalling(far: Far) -> None:
    """Nothing comes until the client has gone."""
    far.close_connection = True
    far.connection.settimeout(5)
    far.connection.recv(1)


@pytest.fixture
def settings() -> Settings:
    """No store is needed here."""
    return Settings(
        _env_file=None,
        twilio_account_sid="AC" + "0" * 32,
        twilio_auth_token="test-auth-token",
        public_url="https://outdial.test",
    )


@pytest.fixture
def carrier(settings: Settings) -> Iterator[Carrier]:
    carrier = Carrier(settings)
    yield carrier
    carrier.close()


def call(**changes: object) -> PlaceCall:
    fields: dict[str, object] = {
        "attempt_id": uuid4(),
        "to": "+15550000001",
        "caller": "+15005550006",
        "hint": AnswerHint("pod-1", "b1", "wss://a/pods/pod-1", uuid4(), uuid4()),
        "ring_timeout": 30,
        "time_limit": 420,
    }
    return PlaceCall(**{**fields, **changes})  # type: ignore[arg-type]


async def test_a_call_is_posted_once_with_all_that_comes_back(carrier: Carrier) -> None:
    placed = call(record=True, detection="DetectMessageEnd")
    assert await carrier.client.place(placed) == Accepted("CA1")
    ((method, path, body),) = carrier.asked
    sid = carrier.settings.twilio_account_sid
    assert (method, path) == ("POST", f"/2010-04-01/Accounts/{sid}/Calls.json")
    form = parse_qs(body)
    assert form["To"] == ["+15550000001"]
    assert form["Timeout"] == ["30"]
    assert form["TimeLimit"] == ["420"]
    assert form["StatusCallbackEvent"] == ["initiated", "ringing", "answered", "completed"]
    assert form["AsyncAmd"] == ["true"]
    assert form["MachineDetection"] == ["DetectMessageEnd"]
    assert form["RecordingChannels"] == ["dual"]
    url, _, patience = form["Url"][0].partition("#")
    assert url.startswith(f"https://outdial.test/twilio/voice/{placed.attempt_id}?")
    assert dict(parse_qsl(url.split("?")[1])) == {
        "pod": "pod-1",
        "boot": "b1",
        "at": "wss://a/pods/pod-1",
        "template": str(placed.hint.template_id),
        "lead": str(placed.hint.lead_id),
    }
    assert patience == "ct=500&rt=1500&rc=0"
    for name in (
        "FallbackUrl",
        "StatusCallback",
        "AsyncAmdStatusCallback",
        "RecordingStatusCallback",
    ):
        assert f"/{placed.attempt_id}" in form[name][0]


async def test_inline_twiml_replaces_our_address(carrier: Carrier) -> None:
    await carrier.client.place(call(twiml="<Response/>"))
    form = parse_qs(carrier.asked[0][2])
    assert form["Twiml"] == ["<Response/>"]
    assert "Url" not in form


async def test_a_call_leaves_when_it_is_told_with_everything_ready(carrier: Carrier) -> None:
    """Asked once its connection is open and before a byte is sent; a missed moment asks again."""
    told: list[float] = []

    async def when() -> float:
        await connected(carrier)
        assert carrier.asked == []
        missed = not told
        told.append(time.monotonic() + (-1 if missed else 0.2))
        return told[-1]

    assert await carrier.client.place(call(), when) == Accepted("CA1")
    assert len(told) == 2
    assert carrier.server.read_at[-1] >= told[-1]  # type: ignore[attr-defined]
    assert len(carrier.asked) == 1
    assert isinstance(await carrier.client.end_call("CA1"), Updated), "only a call is told when"


async def test_a_call_leaves_in_one_piece(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two writes a thread may wait: half a call would be there on time."""
    written: list[bytes] = []
    send = HTTPConnection.send

    def note(connection: HTTPConnection, data: bytes) -> None:
        written.append(data)
        send(connection, data)

    monkeypatch.setattr(HTTPConnection, "send", note)

    async def when() -> float:
        assert written == []
        return time.monotonic()

    assert await carrier.client.place(call(), when) == Accepted("CA1")
    (whole,) = written
    headers, body = whole.split(b"\r\n\r\n")
    assert headers.startswith(b"POST /")
    assert b"To=" in body


@pytest.mark.parametrize("broken", [False, True], ids=["no room", "nobody can say"])
async def test_a_call_that_is_not_to_leave_does_not(carrier: Carrier, broken: bool) -> None:
    async def when() -> None:
        await connected(carrier)
        if broken:
            raise RuntimeError("a mistake of ours")

    assert await carrier.client.place(call(), when) == NOT_DEPARTED
    assert carrier.asked == []
    assert isinstance(NOT_DEPARTED, NotSent)


async def test_a_call_through_a_proxy_is_told_when_too(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")

        async def when() -> None:
            """Not at all."""

        update = {"twilio_api_base_url": "http://carrier.invalid"}
        client = TwilioCarrier(settings.model_copy(update=update))
        assert await client.place(call(), when) == NOT_DEPARTED
        client.close()
        connection, _ = proxy.accept()
        with connection:
            assert connection.recv(1) == b"", "connected, and left without a word"


async def test_what_is_said_to_a_proxy_is_no_request(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CONNECT opens the way to the carrier; only what goes through it is a call that leaves."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        heard: list[bytes] = []

        def refuse() -> None:
            client, _ = proxy.accept()
            with client:
                heard.append(client.recv(4096))
                client.sendall(b"HTTP/1.1 502 No\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        asked: list[int] = []

        async def when() -> None:
            asked.append(len(heard))

        client = TwilioCarrier(settings)
        assert not isinstance(await client.place(call(), when), Accepted)
        client.close()
        thread.join()
    assert heard[0].startswith(b"CONNECT ")
    assert asked == []


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (refusing(400, 21211), 21211),
        (refusing(401, 20003), 20003),
        (refusing(429, 20429), 20429),
        (answering(429, "slow down"), 20429),
        (answering(400, {"type": "x", "title": "no", "status": 400, "code": 21217}), 21217),
    ],
)
async def test_a_refusal_is_certain(carrier: Carrier, reply: Reply, code: int) -> None:
    carrier.replies(reply)
    result = await carrier.client.place(call())
    assert isinstance(result, Rejected)
    assert result.code == code
    assert len(carrier.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [
        refusing(500, 20500),
        answering(503, "<html>"),
        answering(500, {"type": "x", "title": "no", "status": 500, "code": 1}),
        answering(201, "<html>"),
        answering(201, "{}"),
        answering(201, "[]"),
        answering(302, ""),
        refusing(408, 408),
        resetting,
        stalling,
    ],
    ids=[
        "500",
        "503 without a body",
        "500 in RFC 9457",
        "201 unreadable",
        "201 without a sid",
        "201 of another shape",
        "a redirect",
        "408",
        "a reset after the request",
        "no answer in time",
    ],
)
async def test_what_may_have_placed_a_call_is_unknown_and_never_repeated(
    carrier: Carrier, reply: Reply
) -> None:
    carrier.replies(reply)
    assert isinstance(await carrier.client.place(call()), OutcomeUnknown)
    assert len(carrier.asked) == 1


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:9", "http://nowhere.invalid", "https://127.0.0.1:9"]
)
async def test_what_cannot_have_left_is_not_sent(settings: Settings, base_url: str) -> None:
    client = TwilioCarrier(settings.model_copy(update={"twilio_api_base_url": base_url}))
    try:
        assert isinstance(await client.place(call()), NotSent)
    finally:
        client.close()


async def test_a_connect_that_takes_too_long_is_not_sent(settings: Settings) -> None:
    with socket.socket() as full:  # a listener whose queue is full answers no SYN
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = []
        try:
            for _ in range(4):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(full.getsockname())
                waiting.append(client)
            base_url = f"http://127.0.0.1:{full.getsockname()[1]}"
            update = {"twilio_api_base_url": base_url, "post_timeout_seconds": 0.6}
            carrier = TwilioCarrier(settings.model_copy(update=update))
            assert isinstance(await carrier.place(call()), NotSent)
            carrier.close()
        finally:
            for client in waiting:
                client.close()


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (answering(200, call_json(status="completed")), Updated),
        (refusing(404, 20404), AlreadyEnded),
        (refusing(400, 21220), AlreadyEnded),
        (refusing(500, 20500), NotUpdated),
        (resetting, NotUpdated),
        (answering(200, "<html>"), NotUpdated),
    ],
)
async def test_ending_a_call_is_a_value(carrier: Carrier, reply: Reply, result: type) -> None:
    carrier.replies(reply)
    assert isinstance(await carrier.client.end_call("CA1"), result)
    assert parse_qs(carrier.asked[0][2]) == {"Status": ["completed"]}


async def test_asking_for_a_call(carrier: Carrier) -> None:
    carrier.replies(answering(200, call_json(answered_by="human")))
    found = await carrier.client.fetch_call("CA1")
    assert isinstance(found, CarrierCall)
    assert (found.status, found.answered_by, found.duration) == ("in-progress", "human", 12)
    carrier.replies(refusing(404, 20404))
    assert await carrier.client.fetch_call("CA1") == NoSuchCall()
    carrier.replies(resetting)
    assert isinstance(await carrier.client.fetch_call("CA1"), CarrierAway)


async def test_listing_calls(carrier: Carrier) -> None:
    page = {"calls": [json.loads(call_json())], "next_page_uri": None, "page_size": 50}
    carrier.replies(answering(200, page))
    found = await carrier.client.list_calls(to="+15550000001", status="queued")
    assert isinstance(found, list)
    assert [c.sid for c in found] == ["CA1"]
    assert "Status=queued" in carrier.asked[0][1]
    assert "To=%2B15550000001" in carrier.asked[0][1]
    carrier.replies(resetting)
    assert isinstance(await carrier.client.list_calls(), CarrierAway)

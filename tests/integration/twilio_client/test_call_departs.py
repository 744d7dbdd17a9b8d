"""When a call leaves: all at once, at its moment, or not at all."""

import socket
import threading
import time
from http.client import HTTPConnection
from typing import Any

import pytest

from far_carrier import Carrier, Departs, call
from outdial.settings import Settings
from outdial.telephony import departing_connection
from outdial.telephony.dial_result import Accepted, NotSent, Updated
from outdial.telephony.twilio_client import NOT_DEPARTED, TwilioCarrier
from polling import until

pytestmark = pytest.mark.integration


async def connected(carrier: Carrier) -> None:
    """Wait until somebody has connected."""
    server: Any = carrier.server
    await until(lambda: server.connections, 5, "somebody connects")


async def test_a_call_leaves_when_it_is_told_with_everything_ready(carrier: Carrier) -> None:
    """Asked once its connection is open and before a byte is sent; a missed moment asks again."""
    told: list[float] = []

    async def when() -> float:
        await connected(carrier)
        assert carrier.asked == []
        missed = not told
        told.append(time.monotonic() + (-1 if missed else 0.2))
        return told[-1]

    assert await carrier.client.place(call(), Departs(when)) == Accepted("CA1")
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

    assert await carrier.client.place(call(), Departs(when)) == Accepted("CA1")
    (whole,) = written
    headers, body = whole.split(b"\r\n\r\n")
    assert headers.startswith(b"POST /")
    assert b"To=" in body


@pytest.mark.parametrize("on_time", [0.02, 60.0])
async def test_a_call_that_leaves_late_says_by_how_much(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch, on_time: float
) -> None:
    """Its thread woke in time, and then the processor was not its own for a while."""
    send = HTTPConnection.send

    def slowly(connection: HTTPConnection, data: bytes) -> None:
        send(connection, data)
        time.sleep(0.03)

    monkeypatch.setattr(HTTPConnection, "send", slowly)
    monkeypatch.setattr(departing_connection, "ON_TIME_SECONDS", on_time)

    async def when() -> float:
        return time.monotonic()

    departs = Departs(when)
    assert await carrier.client.place(call(), departs) == Accepted("CA1")
    assert [late >= 0.03 for late in departs.late] == ([True] if on_time < 1 else [])


async def test_a_call_that_left_has_left_whoever_cannot_hear_that_it_was_late(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of ours after the last byte must not be taken for the outcome of the call."""
    monkeypatch.setattr(departing_connection, "ON_TIME_SECONDS", 0.0)

    async def when() -> float:
        return time.monotonic()

    class Deaf(Departs):
        left_late = None  # type: ignore[assignment]

    assert await carrier.client.place(call(), Deaf(when)) == Accepted("CA1")


@pytest.mark.parametrize("broken", [False, True], ids=["no room", "nobody can say"])
async def test_a_call_that_is_not_to_leave_does_not(carrier: Carrier, broken: bool) -> None:
    async def when() -> None:
        await connected(carrier)
        if broken:
            raise RuntimeError("a mistake of ours")

    assert await carrier.client.place(call(), Departs(when)) == NOT_DEPARTED
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
        assert await client.place(call(), Departs(when)) == NOT_DEPARTED
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
        assert not isinstance(await client.place(call(), Departs(when)), Accepted)
        client.close()
        thread.join()
    assert heard[0].startswith(b"CONNECT ")
    assert asked == []

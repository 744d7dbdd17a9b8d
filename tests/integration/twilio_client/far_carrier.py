"""A carrier at the other end of a real socket, which answers as the test says."""

import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

from outdial.settings import Settings
from outdial.telephony.callbacks import AnswerHint
from outdial.telephony.twilio_client import PlaceCall, TwilioCarrier

Reply = Callable[["Far"], None]


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


@dataclass
class Departs:
    """A departure that asks `ask` when it is; `late` has by how much the call missed it, if so."""

    ask: Callable[[], Awaitable[float | None]]
    late: list[float] = field(default_factory=list)

    async def when(self) -> float | None:
        return await self.ask()

    async def left_late(self, seconds: float) -> None:
        self.late.append(seconds)

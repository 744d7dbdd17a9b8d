"""Open-loop load over kept connections: requests leave on time whether or not answers come."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Answer:
    """What came back, and how long after the request was due (seconds)."""

    status: int
    body: bytes
    seconds: float


def request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A POST of a form, as bytes."""
    given = {
        "Host": "bench",
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": str(len(body)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


async def load(port: int, requests: Sequence[bytes], per_second: float) -> list[Answer]:
    """Send each request at its time; every answer, in the order of sending."""
    idle: list[Connection] = []
    loop = asyncio.get_running_loop()
    begin = loop.time() + 0.05
    tasks: list[asyncio.Task[Answer]] = []
    for number, text in enumerate(requests):
        due = begin + number / per_second
        await asyncio.sleep(max(0.0, due - loop.time()))
        tasks.append(asyncio.create_task(_ask(port, text, idle, time.perf_counter())))
    answers = await asyncio.gather(*tasks)
    for _, writer in idle:
        writer.close()
    return answers


async def _ask(port: int, text: bytes, idle: list[Connection], due: float) -> Answer:
    reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text)
        head = await reader.readuntil(b"\r\n\r\n")
        fields = head.lower().split(b"\r\n")
        length = next(int(f.split(b":")[1]) for f in fields if f.startswith(b"content-length:"))
        body = await reader.readexactly(length)
    except (OSError, asyncio.IncompleteReadError):
        writer.close()
        return Answer(0, b"", time.perf_counter() - due)
    idle.append((reader, writer))
    return Answer(int(head.split(b" ", 2)[1]), body, time.perf_counter() - due)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that is not less than `share` of them."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


async def until(holds: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Poll until it holds; TimeoutError when it does not."""
    async with asyncio.timeout(seconds):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.05)


async def answers_at(port: int, path: str) -> bool:
    """Whether a GET is answered with 200."""
    with suppress(OSError, asyncio.IncompleteReadError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readline()
        writer.close()
        return b" 200 " in head
    return False

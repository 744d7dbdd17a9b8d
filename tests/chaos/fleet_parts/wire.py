"""The network of one pod: everything it says and hears goes through here, until it is cut.

Cut as a cable is: nothing is closed and nothing refused. What was sent waits, new connections get
no answer, and once it is mended what waited arrives, late, as TCP brings it.
"""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit, urlunsplit

_BYTES = 65536
_STREAMS = ("DEEPGRAM_BASE_URL", "GROQ_BASE_URL")


class Wire:
    """Relays on loopback and unix sockets, in a thread of their own."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="outdial-wire-", dir="/tmp"))  # short
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._whole = self._run(_set_event())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._run(_cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def cut(self) -> None:
        """From here on nothing passes."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def mend(self) -> None:
        """What waited passes."""
        self._loop.call_soon_threadsafe(self._whole.set)

    def environment(self, env: Mapping[str, str], inward: int) -> dict[str, str]:
        """A pod's environment with every address led through here; `inward` is the pod's port."""
        door = self._tcp("127.0.0.1", inward)
        public = urlsplit(env["OUTDIAL_POD_PUBLIC_URL"])
        changed = {
            "OUTDIAL_POD_PUBLIC_URL": urlunsplit(public._replace(netloc=f"127.0.0.1:{door}")),
            "OUTDIAL_POD_ADDRESS": f"http://127.0.0.1:{door}",
        }
        for name in _STREAMS:
            parts = urlsplit(env[name])
            port = self._tcp(parts.hostname or "", parts.port or 80)
            changed[name] = urlunsplit(parts._replace(netloc=f"127.0.0.1:{port}"))
        redis = urlsplit(env["REDIS_URL"])
        changed["REDIS_URL"] = f"unix://{self._unix(Path(redis.path))}?{redis.query}"
        postgres = urlsplit(env["DATABASE_URL"])
        folder = Path(parse_qs(postgres.query)["host"][0])
        here = self._unix(folder / ".s.PGSQL.5432").parent
        changed["DATABASE_URL"] = env["DATABASE_URL"].replace(str(folder), str(here))
        return {**env, **changed}

    def _tcp(self, host: str, port: int) -> int:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._relay(reader, writer, asyncio.open_connection(host, port))

        server = self._run(asyncio.start_server(relay, "127.0.0.1", 0))
        found: int = server.sockets[0].getsockname()[1]
        return found

    def _unix(self, target: Path) -> Path:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._relay(reader, writer, asyncio.open_unix_connection(str(target)))

        here = self._folder / target.name
        self._run(asyncio.start_unix_server(relay, str(here)))
        return here

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connecting: Coroutine[Any, Any, tuple[asyncio.StreamReader, asyncio.StreamWriter]],
    ) -> None:
        try:
            await self._whole.wait()
            far_reader, far_writer = await connecting
        except OSError:
            writer.close()
            return
        finally:
            connecting.close()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, far_writer))
                both.create_task(self._pump(far_reader, writer))
        except* OSError:
            pass

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_BYTES):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
            await self._whole.wait()
        finally:
            with suppress(OSError):
                writer.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


async def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

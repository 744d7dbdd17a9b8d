"""`python -m outdial_media`: one media pod."""

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
import uvicorn
import uvloop
from loguru import logger as pipecat_log

from outdial.observability.logs import set_up_logs
from outdial.observability.trace_setup import TracesError, close_traces, open_traces
from outdial.operations.runtime import open_runtime
from outdial.settings import Settings, SettingsError, load_settings
from outdial.short_slices import ask_for_short_slices
from outdial.thread_switches import switch_threads_often
from outdial_media.app import make_app
from outdial_media.pod import Pod, open_pod

if TYPE_CHECKING:
    from loguru import Message, Record

_log = structlog.get_logger(__name__)

WRONG_USAGE = 2
_LAST_WRITES_SECONDS = 5


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: on SIGTERM it would cut every live call (1012)."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings) -> None:
    """Run a pod until SIGTERM or SIGINT. Calls that go on are waited for; a second signal cuts."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    async with open_runtime(settings) as runtime, open_pod(runtime) as pod:
        server = _server(settings, pod)
        serving = asyncio.create_task(server.serve())
        await _first(serving, asyncio.create_task(asked.wait()))
        asked.clear()
        if not serving.done():
            _log.info("draining", calls=pod.calls)
            draining = asyncio.create_task(pod.retire(settings.drain_seconds))
            await _first(draining, asyncio.create_task(asked.wait()), serving)
            draining.cancel()
        server.should_exit = True
        await serving


def _server(settings: Settings, pod: Pod) -> _Server:
    return _Server(
        uvicorn.Config(
            make_app(pod),
            host=settings.host,
            port=settings.port,
            lifespan="off",
            log_config=None,
            access_log=False,
            ws="websockets-sansio",
            ws_per_message_deflate=False,  # mu-law does not shrink, and trying costs every frame
            timeout_graceful_shutdown=_LAST_WRITES_SECONDS,
        )
    )


async def _first(*tasks: asyncio.Task[object]) -> None:
    """Wait for one of them; those that only wait for a signal are let go."""
    await asyncio.wait(tasks, return_when="FIRST_COMPLETED")
    tasks[1].cancel()


def main() -> int:
    """Start, or say which setting is wrong."""
    try:
        settings = load_settings("media")
        open_traces("media", settings.pod_id)
    except (SettingsError, TracesError) as error:
        sys.stderr.write(f"{error}\n")
        return WRONG_USAGE
    set_up_logs(settings)
    _quieten()
    switch_threads_often()
    ask_for_short_slices()
    uvloop.run(serve(settings))
    close_traces()
    return 0


def _quieten() -> None:
    """Keep what others log to what helps, and tokens (they stand in paths) out of it."""
    pipecat_log.remove()  # its default writes every frame's journey to stderr
    pipecat_log.add(_hear_pipecat, level="WARNING", filter=_is_news)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    server = logging.getLogger("uvicorn.error")
    server.setLevel(logging.WARNING)
    # uvicorn 0.54 says this of every socket that is refused with a status of ours.
    server.addFilter(lambda record: "without completing handshake" not in record.getMessage())


def _is_news(record: "Record") -> bool:
    """Pipecat warns in every call that its tables assume other settings of voice activity."""
    return "VAD stop_secs" not in record["message"]


def _hear_pipecat(message: "Message") -> None:
    """Pipecat's warnings among our own lines. Its errors come as frames and are counted."""
    record = message.record
    _log.warning("pipecat", level=record["level"].name, said=record["message"][:500])


if __name__ == "__main__":
    sys.exit(main())

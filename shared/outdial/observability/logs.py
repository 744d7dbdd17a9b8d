"""Logs: one line an event, JSON for machines or text for people, on stderr.

Numbers that belong to people and secrets do not go into logs; ids of attempts and leads do.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Protocol

import structlog

from outdial.observability import traces
from outdial.observability.redaction import without_secrets

SECRET_WORDS = ("token", "secret", "password", "authorization", "api_key", "signature")

QUIET = (
    "httpx",
    "httpcore",
    "websockets",
    "urllib3",
    "twilio.http_client",
    "kombu",
    "alembic",
    # Two lines a task, of which several run each second; one that fails is told as an error.
    "celery.worker.strategy",
    "celery.app.trace",
)


class LogSettings(Protocol):
    """What logging asks of the settings."""

    @property
    def log_format(self) -> str:
        """`json` or `text`."""

    @property
    def log_level(self) -> str:
        """`DEBUG`, `INFO`, `WARNING` or `ERROR`."""


def set_up_logs(settings: LogSettings) -> None:
    """Let structlog and the standard library's logging write the same lines. Once a process."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_trace,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level]
        ),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=_last_steps(settings.log_format)
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for noisy in QUIET:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("celery.beat").addFilter(_is_no_tick)


def _is_no_tick(record: logging.LogRecord) -> bool:
    """Beat says each second what it sends; what it says of itself is worth a line."""
    return "Sending due task" not in str(record.msg)


def _last_steps(log_format: str) -> list[structlog.typing.Processor]:
    """Redaction comes after the traceback has become text, so that nothing slips by it."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if log_format == "text"
        else structlog.processors.JSONRenderer()
    )
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        redact,
        renderer,
    ]


def add_trace(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Name the trace and the span in which the line was written, while traces are exported."""
    context = traces.current_context()
    if context is not None:
        event["trace_id"] = f"{context.trace_id:032x}"
        event["span_id"] = f"{context.span_id:016x}"
    return event


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Blot out secrets, and all but the last two digits of telephone numbers, wherever they are."""
    for key, value in event.items():
        event[key] = _clean(key, value)
    return event


def _clean(key: str, value: object) -> object:
    if any(word in key.lower() for word in SECRET_WORDS):
        return "***"
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {name: _clean(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(key, inner) for inner in value]
    return value

"""Whether traces are exported, and where to: OpenTelemetry's own variables say it.

OTEL_EXPORTER_OTLP_ENDPOINT (or ..._TRACES_ENDPOINT) turns them on, OTEL_TRACES_EXPORTER=none or
OTEL_SDK_DISABLED=true off. With neither, nothing is imported here.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from dotenv import dotenv_values

from outdial.observability import traces

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
_ALWAYS = {"always_on": 1.0, "always_off": 0.0}


class TracesError(Exception):
    """The environment asks for traces that cannot be made. The message says what to change."""


@dataclass(frozen=True)
class TraceSettings:
    """What is exported: to whom, and which share of the calls (0 to 1)."""

    exporter: Literal["otlp", "console"]
    ratio: float = 1.0


def read_trace_settings(environment: Mapping[str, str] = os.environ) -> TraceSettings | None:
    """What the variables ask for; None: no traces.

    Raises:
        TracesError: a variable holds what cannot be done.

    """
    asked = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or asked == "none":
        return None
    if not asked and not any(environment.get(name, "").strip() for name in _ENDPOINTS):
        return None
    ratio = _ratio(environment)
    if asked == "console":
        return TraceSettings("console", ratio)
    if asked not in {"", "otlp"}:
        raise TracesError(f"OTEL_TRACES_EXPORTER is {asked!r}: otlp, console and none can be had")
    _check_protocol(environment)
    return TraceSettings("otlp", ratio)


def read_env_file() -> None:
    """Take OTEL_* from `.env`, as settings are: the exporter looks at the environment only."""
    for name, value in dotenv_values(".env").items():
        if name.startswith("OTEL_") and value:
            os.environ.setdefault(name, value)


def check_traces() -> None:
    """See that what the environment asks for can be done. Starts nothing.

    Raises:
        TracesError: a variable holds what cannot be done, or a package is missing.

    """
    read_env_file()
    if read_trace_settings() is not None and not all(map(_is_installed, _NEEDED)):
        raise TracesError(
            "OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_TRACES_EXPORTER is set, but what exports traces "
            "is not installed: pip install 'outdial[traces]', or set OTEL_TRACES_EXPORTER=none"
        )


def open_traces(service: str, instance: str | None = None) -> None:
    """Export this process's spans if the environment asks for it. After a fork, never before.

    `service` becomes `service.name` outdial-<service>, unless OTEL_SERVICE_NAME names another.

    Raises:
        TracesError: see `check_traces`.

    """
    check_traces()
    settings = read_trace_settings()
    if settings is None:
        return
    from outdial.observability.trace_export import start_exporting

    traces.listen(start_exporting(settings.exporter, service, instance), settings.ratio)


def close_traces(seconds: float = 2.0) -> None:
    """Send what waits, for so long at most, and stop."""
    if not traces.is_on():
        return
    traces.listen(None)
    from outdial.observability.trace_export import stop_exporting

    stop_exporting(seconds)


def _ratio(environment: Mapping[str, str]) -> float:
    """The share of traces: decided by a trace's id alone, so that every process says the same."""
    sampler = environment.get("OTEL_TRACES_SAMPLER", "").strip().lower() or "always_on"
    kind = sampler.removeprefix("parentbased_")
    if kind in _ALWAYS:
        return _ALWAYS[kind]
    argument = environment.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or "1"
    try:
        ratio = float(argument)
    except ValueError:
        ratio = -1.0
    if kind != "traceidratio" or not 0 <= ratio <= 1:
        raise TracesError(
            f"OTEL_TRACES_SAMPLER={sampler} with OTEL_TRACES_SAMPLER_ARG={argument} cannot be had: "
            "always_on, always_off, or traceidratio with a share from 0 to 1"
        )
    return ratio


def _check_protocol(environment: Mapping[str, str]) -> None:
    for name in _PROTOCOLS:
        protocol = environment.get(name, "").strip().lower()
        if protocol not in {"", "http/protobuf"}:
            raise TracesError(f"{name} is {protocol!r}: only http/protobuf is spoken (port 4318)")


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False

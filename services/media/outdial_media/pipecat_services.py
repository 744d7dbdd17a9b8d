"""Any STT, LLM and TTS service of pipecat 1.14, by the name and settings of a template.

Settings are held against what the class (`pipecat_classes.py`) takes: its `Settings`, and the
arguments of its constructors. Keys and addresses come from the environment (`secret:NAME` is
OUTDIAL_VOICE_SECRET_<NAME>).
"""

import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import os
import re
import typing
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipecat.services.ai_service import AIService
from pipecat.transcriptions.language import Language
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from outdial.domain.call_template import ServiceChoice
from outdial.domain.voice_services import SECRET, Kind
from outdial_media.pipecat_classes import ServiceProblem, service_class
from outdial_media.twilio_frames import SAMPLE_RATE

_RATE = re.compile(r"([A-Z0-9]+_)*SAMPLE_RATE")
_OURS = frozenset({"settings", "params", "aiohttp_session", "kwargs", "self", "name"})
"""What is made of the settings, or handed over by the pod."""

_OBJECT = re.compile(
    r"(^|_)(clients?|session|resolver|aggregator|filters?|transforms?|callback|handler)$"
)
"""Arguments that no plain value can be."""


def arguments(
    kind: Kind,
    choice: ServiceChoice,
    language: str,
    environment: Mapping[str, str] = os.environ,
) -> tuple[type[Any], dict[str, Any]]:
    """The class, and what its constructor is called with (less `aiohttp_session`).

    Raises:
        ServiceProblem: as above, or a setting is not known, does not fit, or is not to be had.

    """
    cls = service_class(kind, choice.service)
    takes = _parameters(cls)
    fields = _fields(cls)
    given = _flattened(cls, choice.settings)
    own: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for key, value in given.items():
        plain = _from_environment(cls, value, environment)
        if key in fields:
            kept[key] = _fitting(cls, key, plain, fields[key])
        elif key in takes:
            own[key] = _fitting(cls, key, plain, takes[key].annotation)
        else:
            raise ServiceProblem(_unknown(cls, key, [*fields, *takes]))
    if "api_key" in takes and "api_key" not in own:
        own |= _own_key(cls, takes["api_key"], environment)
    if "language" in fields and "language" not in kept and language != "multi":
        kept["language"] = language_of(language)
    if "sample_rate" in takes and "sample_rate" not in own and kind != "llm":
        own["sample_rate"] = _native_rate(cls) if kind == "tts" else SAMPLE_RATE
    missing = [
        key
        for key, parameter in takes.items()
        if parameter.default is parameter.empty and key not in own and key not in _OURS
    ]
    if missing:
        raise ServiceProblem(f"{cls.__name__} needs {', '.join(missing)}: add it to its settings")
    if kept:
        own["settings"] = cls.Settings(**kept)
    return cls, own


def language_of(tag: str) -> Language | str:
    """A template's language as pipecat names it: with its region where there is one."""
    for part in (tag, tag.partition("-")[0]):
        try:
            return Language(part)
        except ValueError:
            continue
    return tag


def takes_session(cls: type[Any]) -> bool:
    """Whether its constructor wants a session of aiohttp, which the pod shares."""
    return "aiohttp_session" in inspect.signature(cls.__init__).parameters


async def close_client(service: Any) -> None:
    """Close the connections of a service's own client: pipecat 1.14 leaves them open for ever."""
    client = getattr(service, "_client", None)
    close = getattr(client, "close", None) or getattr(client, "aclose", None)
    if close is None:
        return
    with suppress(Exception):  # whatever client it is, nobody needs it any more
        closing = close()
        if inspect.isawaitable(closing):
            await closing


def _parameters(cls: type[Any]) -> dict[str, inspect.Parameter]:
    """What its constructors take, its bases' too as far as it hands them on."""
    found: dict[str, inspect.Parameter] = {}
    for one in cls.__mro__:
        if one is AIService:
            break
        if "__init__" not in vars(one):
            continue
        parameters = inspect.signature(vars(one)["__init__"]).parameters
        for key, parameter in parameters.items():
            named = parameter.kind in {parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD}
            if named and key not in _OURS and not _OBJECT.search(key):
                found.setdefault(key, _resolved(one, parameter))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    # A base's argument that the class fills in itself is not the template's business.
    own = inspect.signature(vars(cls).get("__init__", cls.__init__)).parameters
    return {
        key: value for key, value in found.items() if key in own or value.default is not value.empty
    }


def _resolved(cls: type[Any], parameter: inspect.Parameter) -> inspect.Parameter:
    if not isinstance(parameter.annotation, str):
        return parameter
    try:
        hint = typing.get_type_hints(vars(cls)["__init__"]).get(parameter.name, Any)
    except Exception:  # noqa: BLE001 - names that exist for type checkers only
        hint = Any
    return parameter.replace(annotation=hint)


def _fields(cls: type[Any]) -> dict[str, Any]:
    """What may be set in its `Settings`, with the types."""
    settings = getattr(cls, "Settings", None)
    if settings is None or not dataclasses.is_dataclass(settings):
        return {}
    try:
        hints = typing.get_type_hints(settings)
    except Exception:  # noqa: BLE001 - names that exist for type checkers only
        hints = {}
    return {field.name: hints.get(field.name, Any) for field in dataclasses.fields(settings)}


def _flattened(cls: type[Any], settings: Mapping[str, object]) -> dict[str, object]:
    """`params: {...}` of older examples means the settings of the same names."""
    found = {key: value for key, value in settings.items() if key != "params"}
    inner = settings.get("params")
    if inner is not None and not isinstance(inner, Mapping):
        raise ServiceProblem(f"{cls.__name__}: params must be a mapping")
    return {**found, **dict(inner or {})}


def _from_environment(cls: type[Any], value: object, environment: Mapping[str, str]) -> object:
    found = SECRET.fullmatch(value) if isinstance(value, str) else None
    return read_secret(found.group(1), _provider(cls), environment) if found else value


def _provider(cls: type[Any]) -> str:
    """The package below `pipecat.services`: the company's name."""
    return cls.__module__.split(".")[2]


def read_secret(name: str, service: str, environment: Mapping[str, str]) -> str:
    """OUTDIAL_VOICE_SECRET_<NAME>, or the content of the file that ..._FILE names.

    Raises:
        ServiceProblem: it is not set, or not for this service (..._SERVICES).

    """
    variable = f"OUTDIAL_VOICE_SECRET_{name}"
    only = {part.strip() for part in environment.get(f"{variable}_SERVICES", "").split(",")} - {""}
    if only and service not in only:
        raise ServiceProblem(f"{variable} is not for {service} ({variable}_SERVICES)")
    value = environment.get(variable, "")
    if not value and (path := environment.get(f"{variable}_FILE")):
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ServiceProblem(f"{variable}_FILE: {type(error).__name__}") from None
    if not value:
        raise ServiceProblem(f"{variable} is not set on this pod")
    return value


def _own_key(
    cls: type[Any], parameter: inspect.Parameter, environment: Mapping[str, str]
) -> dict[str, str]:
    """The key that a service has when its settings name none: that of its provider."""
    provider = _provider(cls)
    try:
        return {"api_key": read_secret(provider.upper(), provider, environment)}
    except ServiceProblem:
        if parameter.default is parameter.empty:
            raise
        return {}


def _native_rate(cls: type[Any]) -> int:
    """Samples a second that it is asked for: the telephone's, unless it knows only its own."""
    module = vars(importlib.import_module(cls.__module__))
    for names in (vars(cls), module):
        for name, value in names.items():
            if _RATE.fullmatch(name) and isinstance(value, int):
                return value
    return SAMPLE_RATE


def _fitting(cls: type[Any], key: str, value: object, hint: Any) -> Any:
    """`value` as the type that is wanted, with every name inside it known."""
    _check_inner(cls, key, value, hint)
    if hint is inspect.Parameter.empty:
        return value
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(
            hint, config=ConfigDict(arbitrary_types_allowed=True)
        )
    except Exception:  # noqa: BLE001 - a type that pydantic has no schema of
        return value
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise ServiceProblem(f"{cls.__name__}: {key} does not fit: {reason}") from None


def _check_inner(cls: type[Any], key: str, value: object, hint: Any) -> None:
    if not isinstance(value, Mapping):
        return
    models = [one for one in (hint, *typing.get_args(hint)) if inspect.isclass(one)]
    for model in models:
        names: list[str] = []
        if issubclass(model, BaseModel):
            names = list(model.model_fields)
        elif dataclasses.is_dataclass(model):
            names = [field.name for field in dataclasses.fields(model)]
        for inner in value if names else ():
            if inner not in names:
                raise ServiceProblem(_unknown(cls, str(inner), names, f"{key}."))


def _unknown(cls: type[Any], key: str, known: list[str], path: str = "") -> str:
    names = sorted(set(known))
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    meant = f"did you mean {path}{near[0]}?" if near else f"it knows {', '.join(names)}"
    return f"{cls.__name__} has no setting {path}{key}; {meant}"

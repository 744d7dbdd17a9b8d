"""Which class of pipecat 1.14 a template's service is: by its short name, or by its path.

Only classes below `pipecat.services` are loaded, and only those that do the work.
"""

import difflib
import importlib
import importlib.util
import inspect
import re
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pipecat.services.ai_service import AIService
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService

from outdial.domain.voice_services import SHORT_NAMES, Kind

_BASES: dict[Kind, type[AIService]] = {"stt": STTService, "llm": LLMService, "tts": TTSService}
_EXTRA = re.compile(r"pipecat-ai\[([a-z0-9-]+)\]")
_ABSTRACT = re.compile(r"^_|Base(?=[A-Z])")


class ServiceProblem(Exception):
    """A template's service cannot be used here; the message says what to do."""


def service_class(kind: Kind, name: str) -> type[Any]:
    """The class that a template names, by its short name or by its path.

    Raises:
        ServiceProblem: pipecat has no such service, its extra is not installed, or it does
            something else.

    """
    return _load(kind, name)


@lru_cache(maxsize=256)
def _load(kind: Kind, name: str) -> type[Any]:
    path, _, class_name = name.rpartition(".") if "." in name else ("", "", "")
    module_name = path or f"pipecat.services.{name}.{kind}"
    if not module_name.startswith("pipecat.services."):
        raise ServiceProblem(f"{name!r} is no service of Pipecat")
    module = _import(kind, name, module_name)
    cls = getattr(module, class_name, None) if class_name else _main_class(kind, name, module)
    base = _BASES[kind]
    if cls is None:
        near = difflib.get_close_matches(class_name, _classes(kind, module), n=1, cutoff=0.0)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise ServiceProblem(f"{module_name} has no {class_name or kind + ' service'}{meant}")
    if not (inspect.isclass(cls) and issubclass(cls, base)) or inspect.isabstract(cls):
        raise ServiceProblem(f"{name} is no {base.__name__}")
    if not cls.__module__.startswith("pipecat.services."):
        raise ServiceProblem(f"{name} is no service of Pipecat")
    if kind == "llm" and _is_realtime(cls):
        raise ServiceProblem(f"{name} takes and gives speech: a call's model takes and gives text")
    return cls


def _import(kind: Kind, name: str, module_name: str) -> ModuleType:
    try:
        spec = importlib.util.find_spec(module_name)
    except ImportError:
        spec = None
    if spec is None or spec.origin is None:
        near = difflib.get_close_matches(name, sorted(SHORT_NAMES[kind]), n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise ServiceProblem(f"this Pipecat has no {kind} service {name!r}{meant}")
    try:
        return importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001 - a missing extra is told in many ways
        extra = _EXTRA.search(Path(spec.origin).read_text(encoding="utf-8"))
        named = extra.group(1) if extra else module_name.split(".")[2].replace("_", "-")
        raise ServiceProblem(
            f'{name} is not installed here: pip install "pipecat-ai[{named}]" ({error})'
        ) from None


def _classes(kind: Kind, module: ModuleType) -> list[str]:
    """Services that a module defines."""
    return [
        name
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, _BASES[kind])
        and value.__module__ == module.__name__
        and not _ABSTRACT.search(name)
    ]


def _main_class(kind: Kind, name: str, module: ModuleType) -> type[Any] | None:
    """The one that a short name means: it bears the name, streams, and has nothing added to it."""

    def rank(found: str) -> tuple[bool, bool, int, str]:
        bears = name.replace("_", "") in found.lower()
        return (not bears, "Http" in found, len(found), found)

    found = min(_classes(kind, module), key=rank, default=None)
    return getattr(module, found) if found else None


def _is_realtime(cls: type[Any]) -> bool:
    """Services that hear and speak themselves say so in the metadata that they send."""
    told = cls.service_metadata_frame
    if told is LLMService.service_metadata_frame:
        return False
    return "is_realtime_service=True" in inspect.getsource(inspect.unwrap(told))

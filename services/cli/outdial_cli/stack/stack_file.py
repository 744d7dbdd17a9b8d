"""`var/run/stack.json`: where a running stack is, for the command line and for scripts."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class StackInfo:
    """Addresses of a running stack. Private to its owner: it holds a key and a password."""

    api_url: str
    api_key: str
    postgres: str
    redis: str
    flower_url: str = ""
    carrier_url: str = ""
    providers_url: str = ""
    pods: list[str] = field(default_factory=list)
    pids: dict[str, int] = field(default_factory=dict)


def write_stack_file(path: Path, info: StackInfo) -> None:
    """Write it whole or not at all, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".json.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(asdict(info), file, indent=2)
        file.write("\n")
    draft.replace(path)


def read_stack_file(path: Path) -> StackInfo | None:
    """The stack that runs in this folder; None when the file is missing or not ours."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return StackInfo(**found)
    except (OSError, ValueError, TypeError):
        return None

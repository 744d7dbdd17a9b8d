"""Two consoles: results go to stdout, everything about them to stderr."""

import json
import sys
from typing import Any

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """For machines: one JSON document on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def counted(number: int, one: str, more: str = "") -> str:
    """`1 lead`, `2 leads`; `more` where an s does not make the plural."""
    return f"{number} {one if number == 1 else more or one + 's'}"


def say(line: str) -> None:
    """A line of progress, at once, as it is (no markup)."""
    out.print(line, markup=False)

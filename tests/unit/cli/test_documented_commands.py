"""Every command that README and docs tell to type exists, and `--help` cuts no sentence short."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from outdial_cli.commands import local
from outdial_cli.main import app

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = typer.main.get_command(app)
# In code only: at the start of a line or of a span, after a shell's prompt words, up to its end.
TYPED = re.compile(
    r"(?:^ *|`|-- |gateway |\.\.\. )(?:\.venv/bin/)?outdial ([a-z][^`#|<>\n]*)", re.MULTILINE
)
MADE = re.compile(r"(?:^|`)make ([a-z-]+)", re.MULTILINE)


def all_typed() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for words in TYPED.findall(page.read_text(encoding="utf-8")):
            yield page.name, words.strip()


def groups(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    children = getattr(command, "commands", None)
    if children is not None:
        yield path
        for name, child in children.items():
            yield from groups(child, (*path, name))


@pytest.mark.parametrize(("page", "words"), sorted(set(all_typed())))
def test_what_the_pages_tell_to_type_exists(page: str, words: str) -> None:
    command, rest = COMMANDS, shlex.split(words)
    while rest and hasattr(command, "commands"):
        assert rest[0] in command.commands, f"{page}: outdial {words}"
        command, rest = command.commands[rest[0]], rest[1:]
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    options = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert options <= known, f"{page}: outdial {words}"


def test_what_the_pages_tell_to_make_exists() -> None:
    made = {goal for page in PAGES for goal in MADE.findall(page.read_text(encoding="utf-8"))}
    known = re.findall(
        r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert made <= set(known)
    assert "demo" in made


@pytest.mark.parametrize("path", groups(COMMANDS), ids=lambda path: "outdial " + " ".join(path))
def test_help_cuts_no_sentence_short(path: tuple[str, ...]) -> None:
    said = CliRunner().invoke(app, [*path, "--help"], terminal_width=80).output
    assert "..." not in said.partition("Commands:")[2]


@pytest.mark.parametrize(
    ("searched", "typed"), [("", ".venv/bin/outdial"), (".venv/bin", "outdial")]
)
def test_what_is_said_to_type_leads_to_this_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, searched: str, typed: str
) -> None:
    command = tmp_path / ".venv/bin/outdial"
    command.parent.mkdir(parents=True)
    command.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / searched) if searched else "/nowhere")
    monkeypatch.setattr("sys.argv", [str(command), "up"])
    assert local._as_typed() == typed

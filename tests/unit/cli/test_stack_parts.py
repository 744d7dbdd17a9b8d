"""Small parts of the launcher: the stack file, ports' addresses, the children's environment."""

import stat
from pathlib import Path

import pytest

from outdial.settings import socket_of_pod
from outdial_cli.stack import environment
from outdial_cli.stack.socket_folder import forget_socket_folder, socket_folder
from outdial_cli.stack.stack_file import StackInfo, read_stack_file, write_stack_file

pytestmark = pytest.mark.unit

INFO = StackInfo(api_url="http://x", api_key="od_k", postgres="postgresql://", redis="unix://")


def test_the_stack_file_is_read_back_and_private(tmp_path: Path) -> None:
    file = tmp_path / "run" / "stack.json"
    write_stack_file(file, INFO)
    assert read_stack_file(file) == INFO
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [p.name for p in file.parent.iterdir()] == ["stack.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"api_url": 1}'])
def test_a_stack_file_that_is_not_one_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "stack.json"
    file.write_text(text)
    assert read_stack_file(file) is None
    assert read_stack_file(tmp_path / "missing.json") is None


def test_children_inherit_no_setting_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "real")
    monkeypatch.setenv("OUTDIAL_ANYTHING", "1")
    monkeypatch.setenv("LOCAL_SERVER_URL", "http://x")
    monkeypatch.setenv("KEPT", "1")
    inherited = environment.base()
    assert inherited["KEPT"] == inherited["OMP_NUM_THREADS"] == "1"
    assert not {"TWILIO_AUTH_TOKEN", "OUTDIAL_ANYTHING", "LOCAL_SERVER_URL"} & inherited.keys()


@pytest.mark.parametrize(
    ("public", "pod"),
    [
        ("https://call.example", "wss://call.example/pods/pod-2"),
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/pods/pod-2"),
        ("https://call.example/base", "wss://call.example/base/pods/pod-2"),
    ],
)
def test_pods_are_reached_through_the_gateways_address(public: str, pod: str) -> None:
    assert socket_of_pod(public, "pod-2") == pod


def test_a_short_path_is_taken_as_it_is(tmp_path: Path) -> None:
    wanted = tmp_path / "s"
    found = socket_folder(wanted)
    assert (found == wanted) == (len(str(wanted)) < 93)
    assert stat.S_IMODE(found.stat().st_mode) == 0o700


def test_a_deep_path_gets_a_short_one_that_the_next_start_removes(tmp_path: Path) -> None:
    wanted = tmp_path / ("d" * 120) / "s"
    first = socket_folder(wanted)
    second = socket_folder(wanted)
    assert len(str(second)) < 40
    assert not first.exists()
    forget_socket_folder(wanted)
    assert not second.exists()
    assert not wanted.is_symlink()


@pytest.mark.parametrize("prefix", environment._SECRETS)
def test_what_templates_name_reaches_the_children(
    prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text(f"{prefix}A=file\n{prefix}B=file\nTWILIO_AUTH_TOKEN=real\n")
    monkeypatch.setenv(f"{prefix}A", "environment")
    inherited = environment.base()
    assert (inherited[f"{prefix}A"], inherited[f"{prefix}B"]) == ("environment", "file")
    assert "TWILIO_AUTH_TOKEN" not in inherited

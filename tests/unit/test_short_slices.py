"""A thread asks for short slices of the processor, and stays as nice as it was."""

import ctypes
import os
import platform
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from outdial.short_slices import SLICE_SECONDS, ask_for_short_slices

pytestmark = pytest.mark.unit


class Attributes(NamedTuple):
    size: int
    policy: int
    flags: int
    nice: int
    priority: int
    runtime: int
    deadline: int
    period: int


def attributes() -> Attributes:
    """What Linux says of this thread (sched_getattr)."""
    number = {"x86_64": 315, "aarch64": 275}[platform.machine()]
    found = ctypes.create_string_buffer(48)
    assert ctypes.CDLL(None).syscall(number, 0, found, 48, 0) == 0
    return Attributes(*struct.unpack("IIQiIQQQ", found.raw))


def ask() -> tuple[Attributes, bool, Attributes]:
    os.nice(3)  # this thread's
    before = attributes()
    return before, ask_for_short_slices(), attributes()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked")
def test_slices_are_short() -> None:
    with ThreadPoolExecutor(1) as threads:
        before, asked, after = threads.submit(ask).result()
    if not asked:
        pytest.skip("this machine refuses it")
    assert (after.policy, after.nice) == (before.policy, before.nice)
    if before.runtime:  # Linux 6.12 and newer tell and take a slice
        assert after.runtime == round(SLICE_SECONDS * 1e9) < before.runtime


def test_elsewhere_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    assert not ask_for_short_slices()

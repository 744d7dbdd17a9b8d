"""Whole stacks without sound, which run beside one with sound (`make test`, second pass)."""

import os

import pytest


@pytest.fixture(scope="session")
def beside_calls() -> None:
    """What this process starts from now on lets live calls go first."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.nice(10)

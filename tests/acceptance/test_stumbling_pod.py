"""A pod that gets no processor for a moment, in the middle of somebody's sentence."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from outdial_cli.api_client import ApiClient, Json
from outdial_cli.stack.stack import Stack
from polling import wait_until

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(180),
]

NUMBER = "+12125551813"  # "stop calling me", then waits for the goodbye
# Longer than the second after which upstream ends a turn without sound; shorter than the three
# after which a pod counts as lost.
FROZEN_SECONDS = 1.4


def test_no_word_is_lost(
    stack: Stack,
    api: ApiClient,
    ledger: Callable[[], dict[str, Any]],
    ended: Callable[[str], Json],
) -> None:
    lead = api.post("/v1/calls", {"to_number": NUMBER})["lead_id"]

    def speaks() -> bool:
        return any(call["utterances"] for call in ledger()["calls"] if call["to"] == NUMBER)

    wait_until(speaks, 60, "the person speaks")
    pod = stack.info.pids[f"media-{api.get(f'/v1/calls/{lead}')['pod']}"]
    os.kill(pod, signal.SIGSTOP)
    try:
        time.sleep(FROZEN_SECONDS)  # the freeze itself, not a wait for something
    finally:
        os.kill(pod, signal.SIGCONT)
    call = ended(lead)
    assert call["outcome"] == "opted_out", call["transcript"]

"""The providers as a process of their own."""

import socket
import subprocess
import sys
import time

import httpx
from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment

KEY = {"Authorization": "Token secret"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_providers(port: int, *flags: str) -> subprocess.Popen[bytes]:
    """The providers' process, once it answers."""
    command = [sys.executable, "-m", "outdial_sandbox", "providers", "--port", str(port), *flags]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/sandbox/health").status_code == 200:
                return process
        except httpx.TransportError:
            assert process.poll() is None, "the providers ended while starting"
            time.sleep(0.05)
    process.kill()
    raise AssertionError("the providers did not start")


def deepgram(host: str, key: str = "secret") -> AsyncDeepgramClient:
    ws, http = f"ws://{host}", f"http://{host}"
    places = DeepgramClientEnvironment(base=http, production=ws, agent=ws, agent_rest=http)
    return AsyncDeepgramClient(api_key=key, environment=places)

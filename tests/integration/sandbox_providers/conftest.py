"""One process of the sandbox's providers for all of these tests."""

from collections.abc import Iterator

import pytest

from providers_world import free_port, start_providers


@pytest.fixture(scope="session")
def host() -> Iterator[str]:
    port = free_port()
    process = start_providers(port, "--first-token-ms", "20", "--first-audio-ms", "10")
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(10)

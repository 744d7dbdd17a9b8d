"""A carrier at the other end of a real socket."""

from collections.abc import Iterator

import pytest

from far_carrier import Carrier
from outdial.settings import Settings


@pytest.fixture
def settings() -> Settings:
    """No store is needed here."""
    return Settings(
        _env_file=None,
        twilio_account_sid="AC" + "0" * 32,
        twilio_auth_token="test-auth-token",
        public_url="https://outdial.test",
    )


@pytest.fixture
def carrier(settings: Settings) -> Iterator[Carrier]:
    carrier = Carrier(settings)
    yield carrier
    carrier.close()

"""Our carrier credentials are sent to our carrier only."""

import pytest

from outdial.operations.open_recording import is_carriers
from outdial.settings import Settings

pytestmark = pytest.mark.unit

SETTINGS = Settings(_env_file=None, twilio_account_sid="AC1")
FOLDER = "/2010-04-01/Accounts/AC1/Recordings/"


def test_a_recording_at_the_carrier() -> None:
    assert is_carriers(f"https://api.twilio.com{FOLDER}RE1", SETTINGS)
    assert is_carriers(f"https://api.twilio.com{FOLDER}RE1.wav", SETTINGS)


@pytest.mark.parametrize(
    "url",
    [
        f"https://evil.test{FOLDER}RE1",
        f"http://api.twilio.com{FOLDER}RE1",
        f"https://api.twilio.com:444{FOLDER}RE1",
        f"https://api.twilio.com@evil.test{FOLDER}RE1",
        f"https://api.twilio.com{FOLDER}../../../x",
        f"https://api.twilio.com{FOLDER}",
        "https://api.twilio.com/2010-04-01/Accounts/AC2/Recordings/RE1",
        "file:///etc/passwd",
        "",
    ],
)
def test_anything_else(url: str) -> None:
    assert not is_carriers(url, SETTINGS)

"""Where a pod is reached: as it was told, or behind the gateway's own address."""

import pytest

from outdial.settings import SettingsError, load_settings

pytestmark = pytest.mark.unit

MEDIA = {
    "DATABASE_URL": "postgresql://h/d",
    "REDIS_URL": "redis://h/0",
    "TWILIO_AUTH_TOKEN": "t",
    "DEEPGRAM_API_KEY": "d",
    "GROQ_API_KEY": "g",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> pytest.MonkeyPatch:
    monkeypatch.chdir(str(tmp_path))  # no .env here
    for name, value in MEDIA.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_a_replica_needs_its_name_and_the_public_address_only(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("PUBLIC_URL", "https://calls.example/")
    environment.setenv("OUTDIAL_POD_ID", "4f5e6d7c8b9a")
    environment.setenv("OUTDIAL_POD_PUBLIC_URL", "")  # a line of .env that was left empty
    assert load_settings("media").pod_public_url == "wss://calls.example/pods/4f5e6d7c8b9a"


def test_an_address_of_its_own_goes_before(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PUBLIC_URL", "https://calls.example")
    environment.setenv("OUTDIAL_POD_PUBLIC_URL", "wss://media-1.example/pods/pod-1")
    assert load_settings("media").pod_public_url == "wss://media-1.example/pods/pod-1"


def test_with_neither_the_pod_does_not_start(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"OUTDIAL_POD_PUBLIC_URL is not set.*PUBLIC_URL"):
        load_settings("media")


def test_a_wrong_public_address_is_named_once(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PUBLIC_URL", "calls.example")
    with pytest.raises(SettingsError) as said:
        load_settings("media")
    assert [line.split(":")[0] for line in str(said.value).splitlines()] == ["PUBLIC_URL"]

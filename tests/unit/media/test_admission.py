"""Who may open a media socket, before any socket is there."""

import time
import uuid

import pytest
from twilio.request_validator import RequestValidator

from outdial.routing.stream_token import StreamClaims, sign
from outdial.settings import Settings
from outdial_media.admission import Admission, Refused

pytestmark = pytest.mark.unit

BOOT = "boot-1"
ATTEMPT = uuid.UUID(int=7)


def _settings() -> Settings:
    return Settings(
        _env_file=None,
        twilio_auth_token="secret-of-twilio",
        secret_key="secret-of-ours",
        pod_public_url="wss://pods.example/pods/pod-1",
        pod_slots=2,
    )


def _token(settings: Settings, boot_id: str = BOOT, expires_in: float = 60, no: int = 1) -> str:
    claims = StreamClaims(ATTEMPT, no, boot_id, int(time.time() + expires_in))
    return sign(settings.stream_secret, claims)


def _status(answer: StreamClaims | Refused) -> tuple[int, str]:
    assert isinstance(answer, Refused)
    return answer.status, answer.reason


def test_a_token_of_ours_opens_one_socket() -> None:
    settings = _settings()
    admission, token = Admission(settings, BOOT), _token(settings)
    admitted = admission.admit(f"/ws/t/{token}", token, None, calls=0)
    assert isinstance(admitted, StreamClaims)
    assert admitted.attempt_id == ATTEMPT
    assert _status(admission.admit(f"/ws/t/{token}", token, None, calls=0)) == (409, "used")


@pytest.mark.parametrize("token", ["", "garbage", "A" * 80])
def test_what_is_no_token_opens_nothing(token: str) -> None:
    admission = Admission(_settings(), BOOT)
    assert _status(admission.admit(f"/ws/t/{token}", token, None, calls=0)) == (403, "token")


def test_a_token_for_another_life_of_the_pod_opens_nothing() -> None:
    settings = _settings()
    token = _token(settings, boot_id="boot-0")
    answer = Admission(settings, BOOT).admit(f"/ws/t/{token}", token, None, calls=0)
    assert _status(answer) == (403, "boot_id")


def test_an_expired_token_opens_nothing() -> None:
    settings = _settings()
    token = _token(settings, expires_in=-1)
    answer = Admission(settings, BOOT).admit(f"/ws/t/{token}", token, None, calls=0)
    assert _status(answer) == (403, "token")


def test_a_full_pod_refuses_and_does_not_use_up_the_token() -> None:
    settings = _settings()
    admission, token = Admission(settings, BOOT), _token(settings)
    assert _status(admission.admit(f"/ws/t/{token}", token, None, calls=2)) == (503, "full")
    assert isinstance(admission.admit(f"/ws/t/{token}", token, None, calls=1), StreamClaims)


def test_a_signature_is_checked_where_there_is_one() -> None:
    settings = _settings()
    admission, token = Admission(settings, BOOT), _token(settings)
    path = f"/ws/t/{token}"
    assert _status(admission.admit(path, token, "wrong", calls=0)) == (403, "signature")
    assert _status(admission.admit(path, token, "", calls=0)) == (403, "signature")
    right = RequestValidator("secret-of-twilio").compute_signature(
        settings.pod_public_url + path, {}
    )
    assert isinstance(admission.admit(path, token, right, calls=0), StreamClaims)


def test_the_memory_of_used_tokens_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings()
    admission = Admission(settings, BOOT)
    for number in range(1, 50):
        token = _token(settings, no=number)
        assert isinstance(admission.admit("/", token, None, calls=0), StreamClaims)
    later = time.time() + 61
    monkeypatch.setattr("outdial_media.admission.time.time", lambda: later)
    token = sign(settings.stream_secret, StreamClaims(ATTEMPT, 99, BOOT, int(later) + 60))
    assert isinstance(admission.admit("/", token, None, calls=0), StreamClaims)
    assert len(admission._used) == 1


def test_a_late_pod_lets_only_those_in_that_it_promised() -> None:
    settings = _settings()
    admission, token = Admission(settings, BOOT), _token(settings)
    path = f"/ws/t/{token}"
    assert _status(admission.admit(path, token, None, 0, lambda _: False)) == (503, "lag")
    admitted = admission.admit(path, token, None, 0, lambda attempt_id: attempt_id == ATTEMPT)
    assert isinstance(admitted, StreamClaims)

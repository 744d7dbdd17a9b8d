"""Each request has a connection of its own, and TLS is checked without reading all anew."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from far_carrier import Carrier, Far, answering, call, call_json
from outdial.settings import Settings
from outdial.telephony import one_shot_adapter
from outdial.telephony.dial_result import Accepted, NotSent
from outdial.telephony.twilio_client import TwilioCarrier

pytestmark = pytest.mark.integration


async def test_a_connection_that_the_far_end_keeps_is_not_used_again(carrier: Carrier) -> None:
    """It may close at any moment, and nobody could say whether the call was placed."""
    answer = answering(201, call_json())

    def keeping(far: Far) -> None:
        answer(far)
        far.close_connection = False

    carrier.replies(keeping)
    for _ in range(3):
        assert await carrier.client.place(call()) == Accepted("CA1")
    assert carrier.server.connections == 3  # type: ignore[attr-defined]


class Authority:
    """Who signs certificates, and where clients find whom to trust."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.trusted = folder / "authorities.pem"
        self.ca.cert_pem.write_to_path(self.trusted)

    def secure(self, carrier: Carrier, name: str) -> TwilioCarrier:
        """The carrier over TLS, with a certificate for `name`; a client of it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(name).configure_cert(context)
        server = carrier.server
        server.socket = context.wrap_socket(server.socket, server_side=True)
        url = f"https://localhost:{server.server_port}"
        return TwilioCarrier(carrier.settings.model_copy(update={"twilio_api_base_url": url}))


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    authority = Authority(tmp_path)
    monkeypatch.setattr(one_shot_adapter, "DEFAULT_CA_BUNDLE_PATH", str(authority.trusted))
    one_shot_adapter._trusting.cache_clear()
    yield authority
    one_shot_adapter._trusting.cache_clear()


async def test_authorities_are_read_once(
    carrier: Carrier, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []

    class Context(ssl.SSLContext):
        def load_verify_locations(self, *args: object, **kwargs: object) -> None:
            read.append(kwargs)
            super().load_verify_locations(*args, **kwargs)  # type: ignore[arg-type]

    client = authority.secure(carrier, "localhost")
    monkeypatch.setattr("urllib3.util.ssl_.SSLContext", Context)
    for _ in range(3):
        assert await client.place(call()) == Accepted("CA1")
    client.close()
    assert carrier.server.connections == 3  # type: ignore[attr-defined]
    assert read == [{"cafile": str(authority.trusted)}]


async def test_a_certificate_for_somebody_else_is_refused(
    carrier: Carrier, authority: Authority
) -> None:
    client = authority.secure(carrier, "elsewhere.test")
    assert isinstance(await client.place(call()), NotSent)
    client.close()
    assert carrier.asked == []


async def test_an_authority_that_nobody_knows_is_refused(
    carrier: Carrier, authority: Authority
) -> None:
    another = authority.trusted.parent / "another"
    another.mkdir()
    client = Authority(another).secure(carrier, "localhost")
    assert isinstance(await client.place(call()), NotSent)
    client.close()
    assert carrier.asked == []


async def test_authorities_that_are_not_there_place_nothing(
    settings: Settings, authority: Authority
) -> None:
    authority.trusted.unlink()
    client = TwilioCarrier(settings)
    assert isinstance(await client.place(call()), NotSent)
    client.close()


async def test_without_tls_nobody_asks_for_authorities(
    carrier: Carrier, authority: Authority
) -> None:
    authority.trusted.unlink()
    assert await carrier.client.place(call()) == Accepted("CA1")

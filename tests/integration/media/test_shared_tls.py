"""Who connects to a provider has no certificates read for it, and no package looked up."""

import asyncio
import importlib.metadata
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme
from pipecat.services.deepgram.tts import DeepgramTTSService
from websockets.asyncio.server import ServerConnection, serve

from outdial.domain.call_template import Agent, CallTemplate
from outdial.settings import Settings
from outdial_media.foreign_voice import speaking_class
from outdial_media.shared_tls import shared_tls
from outdial_media.speech_services import SpeechServices

pytestmark = pytest.mark.integration

TEMPLATE = CallTemplate("x", Agent("Ada", "Hello.", "Talk."))


class Provider:
    """Takes sockets over TLS; its certificate is its own authority's, which nobody trusts yet."""

    def __init__(self, url: str, authority: trustme.CA) -> None:
        self.url = url
        self.authority = authority
        self.came = asyncio.Event()
        self.compressed: list[bool] = []

    async def take(self, socket: ServerConnection) -> None:
        self.came.set()
        self.compressed.append(bool(socket.protocol.extensions))
        await socket.wait_closed()


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    found = Provider("", authority)
    async with serve(found.take, "127.0.0.1", 0, ssl=context) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        found.url = f"wss://127.0.0.1:{port}"
        yield found


@pytest.fixture
async def services(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SpeechServices]:
    settings = Settings(
        _env_file=None, deepgram_api_key="d", groq_api_key="g", deepgram_base_url=provider.url
    )
    made = SpeechServices(settings)
    shared_tls()
    monkeypatch.setattr(ssl, "create_default_context", lambda *_a, **_k: pytest.fail("read anew"))
    monkeypatch.setattr(importlib.metadata, "version", lambda _: pytest.fail("read from disk"))
    yield made
    await made.close()


@pytest.fixture
def trusted(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    provider.authority.configure_trust(context)
    monkeypatch.setattr("outdial_media.shared_tls.shared_tls", lambda: context)


async def test_a_recogniser_connects_with_the_pods_own_context(
    services: SpeechServices, provider: Provider, trusted: None
) -> None:
    hearing: Any = services.hearing(TEMPLATE)
    hearing.create_task = lambda work, _name="": asyncio.create_task(work)
    hearing.cancel_task = cancelled
    holding = asyncio.create_task(hearing._hold_connection())
    came = asyncio.create_task(provider.came.wait())
    await asyncio.wait({holding, came}, return_when="FIRST_COMPLETED")
    holding.cancel()
    came.cancel()
    await asyncio.wait({holding})
    assert provider.compressed == [False]


async def test_a_recogniser_trusts_nobody_who_is_not_vouched_for(
    services: SpeechServices, provider: Provider
) -> None:
    hearing: Any = services.hearing(TEMPLATE)
    assert "CERTIFICATE_VERIFY_FAILED" in await hearing._hold_connection()
    assert provider.compressed == []


async def test_a_voice_connects_with_the_pods_own_context(
    services: SpeechServices, provider: Provider, trusted: None
) -> None:
    socket = await services.speaking(TEMPLATE)._websocket_connect(provider.url)
    await socket.close()
    assert provider.compressed == [False]


async def test_a_voice_of_another_service_does_so_too(provider: Provider, trusted: None) -> None:
    voice: Any = speaking_class(DeepgramTTSService)(api_key="d")
    socket = await voice._websocket_connect(provider.url)
    await socket.close()
    assert provider.compressed == [False]


async def cancelled(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.wait({task})

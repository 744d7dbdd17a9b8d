"""Deepgram's voice for one call, with another that speaks on when it does not."""

from typing import Any

from pipecat.services.deepgram.tts import DeepgramTTSService

from outdial_media.shared_tls import SharesTls
from outdial_media.spare_voice import SpeaksOn

HANDSHAKE_SECONDS = 1.5
LONGEST_GAP_SECONDS = 15.0
"""Upstream takes a reply for finished after 3 s without sound; here its end is always told."""


class PhoneTTS(SpeaksOn, SharesTls, DeepgramTTSService):
    """Deepgram's voice. Adds: a shared TLS context, no compression of audio, and the spare."""

    tells_its_end = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(stop_frame_timeout_s=LONGEST_GAP_SECONDS, **kwargs)

    async def _websocket_connect(self, uri: str, **kwargs: Any) -> Any:
        kwargs.setdefault("open_timeout", HANDSHAKE_SECONDS)
        return await super()._websocket_connect(uri, **kwargs)

    async def _connect_websocket(self) -> None:
        before = self._websocket
        await super()._connect_websocket()
        if self._websocket is not None and self._websocket is not before:
            self._connected()

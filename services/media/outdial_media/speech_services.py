"""Deepgram and Groq as this pod uses them: what is costly is made once a process.

Small subclasses of pipecat 1.14's services; each says what upstream lacks. Clients, connection
pools and TLS contexts are shared (17 ms of blocking each); every call has sockets of its own.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import pipecat.services.deepgram.stt as upstream_stt
from deepgram import AsyncDeepgramClient, DeepgramClientEnvironment
from deepgram.listen.v1.types import ListenV1Finalize, ListenV1Results
from openai import AsyncOpenAI, Timeout
from outdial.domain.call_template import CallTemplate
from outdial.settings import Settings
from pipecat.frames.frames import Frame, LLMContextFrame, TranscriptionFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.deepgram.tts import DeepgramTTSService
from pipecat.services.groq.llm import GroqLLMService
from pipecat.services.stt_latency import DEEPGRAM_TTFS_P99

from outdial_media.twilio_frames import SAMPLE_RATE

ANSWER_SECONDS = 8.0
"""The longest gap in a model's answer before it counts as failed."""

_CONNECT_SECONDS = 3.0


class SpeechServices:
    """Makes the three services of a call from its template; holds what they share."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        http_url = _with_scheme(settings.deepgram_base_url, secure="https", plain="http")
        ws_url = _with_scheme(settings.deepgram_base_url, secure="wss", plain="ws")
        self._deepgram_ws = ws_url
        self._deepgram_key = settings.deepgram_api_key.get_secret_value()
        self._tls = ssl.create_default_context() if ws_url.startswith("wss") else None
        self._deepgram = AsyncDeepgramClient(
            api_key=self._deepgram_key,
            environment=DeepgramClientEnvironment(
                base=http_url, production=ws_url, agent=ws_url, agent_rest=http_url
            ),
        )
        self.groq = AsyncOpenAI(
            api_key=settings.groq_api_key.get_secret_value(),
            base_url=settings.groq_base_url + "/openai/v1",
            timeout=Timeout(ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            max_retries=1,
        )
        self._http = httpx.AsyncClient(
            base_url=http_url,
            headers={"Authorization": f"Token {self._deepgram_key}"},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=_CONNECT_SECONDS),
        )
        self._spoken: dict[tuple[str, str], bytes] = {}

    async def close(self) -> None:
        """Close the shared connections."""
        await self.groq.close()
        await self._http.aclose()

    def model_of(self, template: CallTemplate) -> str:
        """The language model that a template asks for."""
        return template.voice.llm or self._settings.groq_model

    def hearing(self, template: CallTemplate) -> "PhoneSTT":
        """The recogniser of a call."""
        return PhoneSTT(
            self._deepgram,
            api_key=self._deepgram_key,
            sample_rate=SAMPLE_RATE,
            # Counted from the end of speech, which voice activity reports this much later.
            ttfs_p99_latency=DEEPGRAM_TTFS_P99 + template.turns.silence_ms / 1000,
            settings=DeepgramSTTService.Settings(
                model=template.voice.stt, language=template.language
            ),
        )

    def thinking(self, template: CallTemplate, system_instruction: str) -> "PhoneLLM":
        """The language model of a call."""
        return PhoneLLM(
            self.groq,
            settings=GroqLLMService.Settings(
                model=self.model_of(template), system_instruction=system_instruction
            ),
        )

    def speaking(self, template: CallTemplate) -> "PhoneTTS":
        """The voice of a call."""
        return PhoneTTS(
            self._tls,
            api_key=self._deepgram_key,
            base_url=self._deepgram_ws,
            sample_rate=SAMPLE_RATE,
            settings=DeepgramTTSService.Settings(voice=template.voice.tts),
        )

    async def synthesise(self, voice: str, text: str) -> bytes:
        """16-bit PCM of `text`, ahead of its time; the last ones are kept.

        Raises:
            httpx.HTTPError: the provider failed.

        """
        key = (voice, text)
        if key not in self._spoken:
            answer = await self._http.post(
                "/v1/speak",
                params={
                    "model": voice,
                    "encoding": "linear16",
                    "sample_rate": SAMPLE_RATE,
                    "container": "none",
                },
                json={"text": text},
            )
            answer.raise_for_status()
            while len(self._spoken) >= _KEPT_PHRASES:
                self._spoken.pop(next(iter(self._spoken)))
            self._spoken[key] = answer.content
        return self._spoken[key]


_KEPT_PHRASES = 64


def _with_scheme(url: str, *, secure: str, plain: str) -> str:
    parts = urlsplit(url)
    scheme = secure if parts.scheme in {"https", "wss"} else plain
    return urlunsplit(parts._replace(scheme=scheme))


class PhoneSTT(DeepgramSTTService):
    """Deepgram's recogniser. Adds: a shared client, what was heard as it came, and `flush`."""

    def __init__(self, client: AsyncDeepgramClient, **kwargs: Any) -> None:
        with _client_in_place(client):
            super().__init__(**kwargs)
        self._unanswered = 0
        self._all_answered = asyncio.Event()
        self.on_heard: Callable[[TranscriptionFrame], None] = lambda _: None
        """Called with every final transcript, before the pipeline sees it."""

    async def flush(self, seconds: float) -> None:
        """Have everything that was said until now transcribed; wait `seconds` at most.

        Deepgram does not promise an answer to a Finalize that finds nothing new.
        """
        connection: Any = self._connection
        if connection is None:
            return
        with suppress(Exception):  # a socket that just broke has nothing more to tell
            async with asyncio.timeout(seconds):
                self.request_finalize()
                await connection.send_finalize(ListenV1Finalize(type="Finalize"))
                await self._all_answered.wait()

    def request_finalize(self) -> None:
        """Count what is asked, so that `flush` waits for its own answer and not an earlier one."""
        self._unanswered += 1
        self._all_answered.clear()
        super().request_finalize()

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Tell of what was heard, and let nothing throw it away.

        The person's own interruption empties queues. On a busy pod their words may already wait in
        one, recognised before their voice was noticed: "stop calling me" would be lost there.
        """
        if isinstance(frame, TranscriptionFrame):
            frame.interruptible = False
            self.on_heard(frame)
        await super().push_frame(frame, direction)

    async def _on_message(self, message: Any) -> None:
        await super()._on_message(message)
        if isinstance(message, ListenV1Results) and message.from_finalize:
            self._unanswered = max(0, self._unanswered - 1)
            if not self._unanswered:
                self._all_answered.set()


@contextmanager
def _client_in_place(client: AsyncDeepgramClient) -> Iterator[None]:
    """Pipecat 1.14 makes a client for every call and takes none; nothing awaits in between."""
    module: Any = upstream_stt
    made = module.AsyncDeepgramClient
    module.AsyncDeepgramClient = lambda **_: client
    try:
        yield
    finally:
        module.AsyncDeepgramClient = made


class PhoneTTS(DeepgramTTSService):
    """Deepgram's voice. Adds: a shared TLS context, and no compression of audio."""

    def __init__(self, tls: ssl.SSLContext | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._tls = tls

    async def _websocket_connect(self, uri: str, **kwargs: Any) -> Any:
        extra: dict[str, Any] = {"compression": None}
        if self._tls is not None:
            extra["ssl"] = self._tls
        return await super()._websocket_connect(uri, **(extra | kwargs))


class PhoneLLM(GroqLLMService):
    """Groq's model. Adds: a shared client, a gate, and what became of the last answer."""

    def __init__(self, client: AsyncOpenAI, **kwargs: Any) -> None:
        self._shared_client = client
        # One tool after the other: what is recorded is recorded before the call ends.
        super().__init__(api_key="shared", run_in_parallel=False, **kwargs)
        self.may_answer: Callable[[], bool] = lambda: True
        """Asked before each answer; False lets the model be silent."""
        self.on_text: Callable[[str], None] = lambda _: None
        """Called with each piece of text."""
        self.answering = False
        """Whether an answer was begun and not finished: cut off, failed, or under way."""

    def create_client(self, *_args: Any, **_kwargs: Any) -> AsyncOpenAI:
        """The client of all calls: upstream makes one each, and never closes it."""
        return self._shared_client

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer, if the conversation still wants answers."""
        if isinstance(frame, LLMContextFrame) and not self.may_answer():
            return
        await super().process_frame(frame, direction)

    async def _process_context(self, context: LLMContext) -> None:
        self.answering = True
        await super()._process_context(context)
        self.answering = False

    async def _push_llm_text(self, text: str) -> None:
        self.on_text(text)
        await super()._push_llm_text(text)

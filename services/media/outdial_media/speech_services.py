"""Deepgram and Groq as this pod uses them, and what else a template names.

What is costly is made once a process.

Small subclasses of pipecat 1.14's services; each says what upstream lacks. Clients, connection
pools and TLS contexts are shared (17 ms of blocking each); every call has sockets of its own.
"""

import asyncio
from urllib.parse import urlsplit, urlunsplit

import httpx
import structlog
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.deepgram.tts import DeepgramTTSService
from pipecat.services.groq.llm import GroqLLMService
from pipecat.services.stt_latency import DEEPGRAM_TTFS_P99

from outdial.domain.call_template import CallTemplate, ServiceChoice
from outdial.domain.languages import deepgram_language
from outdial.settings import Settings
from outdial_media.deepgram_client import deepgram_client
from outdial_media.foreign_hearing import HearsOn
from outdial_media.foreign_services import ForeignServices
from outdial_media.foreign_voice import ForeignVoice
from outdial_media.model_answer import Endpoint
from outdial_media.model_endpoints import ANSWER_SECONDS, ModelEndpoints
from outdial_media.model_route import ModelHealth, ModelRoute
from outdial_media.phone_llm import PhoneLLM
from outdial_media.phone_stt import PhoneSTT
from outdial_media.phone_tts import PhoneTTS
from outdial_media.pipecat_classes import ServiceProblem
from outdial_media.provider_sockets import ProviderSockets
from outdial_media.spare_voice import Spare, VoiceLost
from outdial_media.twilio_frames import SAMPLE_RATE

_log = structlog.get_logger(__name__)

SPARE_SECONDS = 2.5
"""How long a voice that is asked ahead, or instead of another, may take for a text."""

_CONNECT_SECONDS = 3.0


class SpeechServices:
    """Makes the three services of a call from its template; holds what they share."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        http_url = _with_scheme(settings.deepgram_base_url, secure="https", plain="http")
        ws_url = _with_scheme(settings.deepgram_base_url, secure="wss", plain="ws")
        self._deepgram_ws = ws_url
        self._deepgram_key = settings.deepgram_api_key.get_secret_value()
        self._deepgram = deepgram_client(self._deepgram_key, http_url, ws_url)
        self.models = ModelEndpoints(settings)
        self.foreign = ForeignServices()
        self.sockets = ProviderSockets(settings.provider_sockets)
        self._health = ModelHealth()
        self._http = httpx.AsyncClient(
            base_url=http_url,
            headers={"Authorization": f"Token {self._deepgram_key}"},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=_CONNECT_SECONDS),
        )
        self._spoken: dict[tuple[str, str], bytes] = {}
        self._making: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Close the shared connections."""
        for making in list(self._making.values()):
            making.cancel()
        await self.models.close()
        await self.foreign.close()
        await self._http.aclose()

    def route(self, template: CallTemplate) -> ModelRoute:
        """The models that a template names, asked one after the other."""
        voice = template.voice
        first = voice.llm or self._settings.groq_model
        endpoints = [self._endpoint(first, voice.llm_service)]
        if voice.second_llm:
            endpoints.append(self._endpoint(voice.second_llm, voice.second_llm_service))
        elif isinstance(voice.llm, ServiceChoice):
            endpoints.append(self.models.endpoint("", self._settings.groq_model))
        return ModelRoute(
            endpoints,
            self._health,
            template.patience.first_token_ms / 1000,
        )

    def _endpoint(self, model: str | ServiceChoice, service: str) -> Endpoint:
        if isinstance(model, ServiceChoice):
            return self.foreign.endpoint(model)
        return self.models.endpoint(service, model)

    def hearing(self, template: CallTemplate) -> PhoneSTT | HearsOn:
        """The recogniser of a call."""
        model = template.voice.stt
        if isinstance(model, ServiceChoice):
            return self.foreign.hearing(model, template.language)
        return PhoneSTT(
            self._deepgram,
            api_key=self._deepgram_key,
            sample_rate=SAMPLE_RATE,
            # Counted from the end of speech, which voice activity reports this much later.
            ttfs_p99_latency=DEEPGRAM_TTFS_P99 + template.turns.silence_ms / 1000,
            settings=DeepgramSTTService.Settings(
                model=model, language=deepgram_language(template.language)
            ),
        )

    def thinking(self, template: CallTemplate, system_instruction: str) -> PhoneLLM:
        """The language model of a call: whichever the route asks."""
        model = template.voice.llm
        named = model if isinstance(model, str) and model else self._settings.groq_model
        return PhoneLLM(
            self.route(template),
            settings=GroqLLMService.Settings(model=named, system_instruction=system_instruction),
        )

    def speaking(self, template: CallTemplate) -> PhoneTTS | ForeignVoice:
        """The voice of a call."""
        model = template.voice.tts
        voice: PhoneTTS | ForeignVoice
        if isinstance(model, ServiceChoice):
            voice = self.foreign.speaking(model, template.language)
        else:
            voice = PhoneTTS(
                api_key=self._deepgram_key,
                base_url=self._deepgram_ws,
                sample_rate=SAMPLE_RATE,
                settings=DeepgramTTSService.Settings(voice=model),
            )
        voice.spare = self.spare(template)
        voice.silence_seconds = template.patience.first_audio_ms / 1000
        return voice

    def spare(self, template: CallTemplate) -> Spare:
        """Speaks when the voice's own connection does not: by a request, then in another voice."""
        voices = [template.voice.tts, template.voice.second_tts or template.voice.tts]

        async def speak(text: str) -> bytes:
            errors = list[str]()
            for voice in list(voices):
                try:
                    async with asyncio.timeout(SPARE_SECONDS):
                        return await self._speak_once(voice, text, template.language)
                except (httpx.HTTPError, TimeoutError, VoiceLost, ServiceProblem) as error:
                    named = voice.service if isinstance(voice, ServiceChoice) else voice
                    errors.append(f"{named}: {error!r}"[:200])
                    voices.append(voices.pop(0))  # the rest of the call begins with the other
            raise VoiceLost("; ".join(errors))

        return speak

    async def spoken_ahead(self, template: CallTemplate, text: str) -> bytes:
        """16-bit PCM of `text`, made before it is needed; the last ones are kept.

        Raises:
            VoiceLost: no voice speaks.

        """
        key = _phrase(template, text)
        if key not in self._spoken:
            pcm = await self.spare(template)(text)
            while len(self._spoken) >= _KEPT_PHRASES:
                self._spoken.pop(next(iter(self._spoken)))
            self._spoken[key] = pcm
        return self._spoken[key]

    def make_ahead(self, template: CallTemplate, text: str) -> None:
        """Have `text` spoken for whichever call will need it; nobody waits for it."""
        key = _phrase(template, text)
        if key not in self._spoken and key not in self._making:
            self._making[key] = asyncio.create_task(self._make(template, text))
            self._making[key].add_done_callback(lambda _: self._making.pop(key, None))

    @property
    def being_made(self) -> int:
        """How many texts are being spoken ahead."""
        return len(self._making)

    async def _make(self, template: CallTemplate, text: str) -> None:
        try:
            await self.spoken_ahead(template, text)
        except VoiceLost as error:  # the next call tries again
            _log.warning("phrase_not_made", error=str(error))

    def kept(self, template: CallTemplate, text: str) -> bytes | None:
        """What `spoken_ahead` made of `text`, if it is still there."""
        return self._spoken.get(_phrase(template, text))

    async def _speak_once(self, voice: str | ServiceChoice, text: str, language: str) -> bytes:
        if isinstance(voice, ServiceChoice):
            return await self.foreign.speak_once(voice, language, text)
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
        return answer.content


_KEPT_PHRASES = 256


def _phrase(template: CallTemplate, text: str) -> tuple[str, str]:
    voice = template.voice.tts
    if isinstance(voice, ServiceChoice):
        return f"{voice!r} {template.language}", text
    return voice, text


def _with_scheme(url: str, *, secure: str, plain: str) -> str:
    parts = urlsplit(url)
    scheme = secure if parts.scheme in {"https", "wss"} else plain
    return urlunsplit(parts._replace(scheme=scheme))

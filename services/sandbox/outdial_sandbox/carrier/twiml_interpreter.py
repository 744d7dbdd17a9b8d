"""Executes TwiML on an answered call: fetch, speak, pause, connect, and what follows."""

import asyncio
import contextlib
import uuid
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urldefrag, urljoin

import numpy as np

from outdial_sandbox.carrier.call import Call, EndedBy, call_params, stream_params
from outdial_sandbox.carrier.call_request import Hook, is_web_address
from outdial_sandbox.carrier.callback_chain import CallbackChain
from outdial_sandbox.carrier.dialed_leg import LegRecord
from outdial_sandbox.carrier.faults import (
    action_answer_is_lost,
    action_is_doubled,
    stream_fate,
)
from outdial_sandbox.carrier.fetched_document import document_of
from outdial_sandbox.carrier.line import Line
from outdial_sandbox.carrier.media_stream import (
    MediaStream,
    StreamRecord,
    StreamRefusedError,
    stream_address,
)
from outdial_sandbox.carrier.network import Network
from outdial_sandbox.carrier.playback import Prompt
from outdial_sandbox.carrier.prompts import PromptError, read_audio, spoken
from outdial_sandbox.carrier.putting_through import PuttingThrough
from outdial_sandbox.carrier.tones import keys
from outdial_sandbox.carrier.twiml_document import (
    NOT_VALID,
    Connect,
    Dial,
    Hangup,
    Pause,
    Play,
    Redirect,
    Say,
    TwimlError,
    Verb,
    parse_twiml,
)
from outdial_sandbox.carrier.webhooks import Answered, Unanswered
from outdial_sandbox.people.behaviour import Frame

MAX_REDIRECTS = 10
_MAX_FALLBACKS = 5
_APPLICATION_ERROR = "We are sorry. An application error has occurred. Goodbye."
_FOREVER = 1000  # what loop="0" means here
_UNSPOKEN: Frame = np.zeros(0, np.int16)


@dataclass(frozen=True)
class Source:
    """Where the next document comes from: a hook of the customer's, or the document itself."""

    hook: Hook | None = None
    twiml: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    purpose: str = "twiml"


class Interpreter:
    """Runs one call's TwiML. `run` is cancelled when the call ends or is given new TwiML."""

    def __init__(self, call: Call, line: Line, network: Network) -> None:
        self._call = call
        self._line = line
        self._network = network
        self._stream_callbacks = CallbackChain(network, call.key, call.log)
        self._log = call.log  # the call may be over, and have let go of it, before a post is
        self._actions = 0
        self._at = ""  # the URL of the document being executed
        self.connected: Hook | None = None  # the `action` of the stream being run
        self._dialed: tuple[Hook, LegRecord] | None = None  # the same of a `<Dial>`

    async def run(self, source: Source) -> EndedBy:
        """Execute from `source` to the end. Returns who ended the call."""
        self.connected = None
        for _ in range(_MAX_FALLBACKS):
            try:
                await self._follow(source)
            except TwimlError as error:
                self._call.problem(error.code, f"{error} ({self._at or 'Twiml'})")
                if (fallback := self._fallback(source, error)) is None:
                    break
                source = fallback
            else:
                return "caller"
        await self.speak(await self._spoken(_APPLICATION_ERROR))
        return "carrier"

    def left(self, *, tell: bool) -> None:
        """The call has left the stream it was in: `tell` its `action`, whose answer is nothing."""
        self._stream_callbacks.finish()
        if self._dialed is not None and self._call.over:
            asked, leg = self._dialed
            params = call_params(self._call) | leg.params()
            self._network.spawn(
                self._network.webhooks.send(asked, params, self._log, "dial"), "dial"
            )
        self._dialed = None
        hook, self.connected = self.connected, None
        if hook is not None and tell:
            self._network.spawn(self._ask_action(hook, call_params(self._call)), "action")

    async def speak(self, samples: Frame) -> None:
        """Play samples to the person, to their end."""
        prompt = Prompt(samples)
        self._line.play(prompt)
        try:
            await prompt.finished.wait()
        finally:
            self._line.release(prompt)

    async def _spoken(self, text: str, language: str = "en-US") -> Frame:
        """Speech, unless nobody would hear it."""
        return _UNSPOKEN if self._line.quiet else await spoken(text, language)

    def _fallback(self, source: Source, error: TwimlError) -> Source | None:
        """FallbackUrl, unless it is the fallback itself that failed."""
        hook = self._call.request.fallback
        if hook is None or (source.purpose == "fallback" and self._at == urldefrag(hook.url).url):
            return None
        extra = {"ErrorCode": str(error.code), "ErrorUrl": self._at}
        return Source(hook=hook, extra=extra, purpose="fallback")

    async def _follow(self, source: Source) -> None:
        redirects = 0
        following: Source | None = source
        while following is not None:
            verbs = await self._load(following)
            following = await self._execute(verbs)
            redirects = redirects + 1 if following and following.purpose == "redirect" else 0
            if redirects > MAX_REDIRECTS:
                raise TwimlError(11215, f"more than {MAX_REDIRECTS} redirects one after another")

    async def _load(self, source: Source) -> list[Verb]:
        if source.hook is None:
            self._at = ""
            return parse_twiml(source.twiml or "")
        self._at = urldefrag(source.hook.url).url
        params = call_params(self._call) | self._verdict() | dict(source.extra)
        if source.purpose == "action":
            return document_of(await self._ask_action(source.hook, params))
        send = self._network.webhooks.send
        return document_of(await send(source.hook, params, self._log, source.purpose))

    async def _ask_action(self, hook: Hook, params: Mapping[str, str]) -> Answered | Unanswered:
        """Post `action`; twice, if that is asked for: the first or the second answer counts."""
        settings, key, token = self._network.settings, self._call.key, str(uuid.uuid4())
        self._actions += 1

        def post() -> Coroutine[Any, Any, Answered | Unanswered]:
            return self._network.webhooks.send(hook, params, self._log, "action", token=token)

        if not action_is_doubled(settings.faults, settings.seed, key, self._actions):
            return await post()
        self._network.injected["action_doubled"] += 1
        if action_answer_is_lost(settings.seed, key, self._actions):
            await post()
            return await post()
        answer = await post()
        self._network.spawn(post(), "action")
        return answer

    def _verdict(self) -> dict[str, str]:
        """Machine detection, once it is known."""
        call = self._call
        if call.answered_by is None or call.detection_ms is None:
            return {}
        return {
            "AnsweredBy": call.answered_by,
            "MachineDetectionDuration": str(call.detection_ms),
        }

    async def _execute(self, verbs: list[Verb]) -> Source | None:
        """Run the verbs. The next document, or None when the call ends here."""
        for verb in verbs:
            match verb:
                case Hangup():
                    return None
                case Redirect(url, method):
                    return Source(hook=self._hook(url, method), purpose="redirect")
                case Connect():
                    if (following := await self._connect(verb)) is not None:
                        return following
                    if self._hang_up_on_refusal():
                        return None
                case Pause(seconds):
                    await asyncio.sleep(seconds)
                case Say(text, language, loop):
                    await self._repeat(await self._spoken(text, language), loop)
                case Play():
                    await self._play(verb)
                case Dial():
                    if (following := await self._dial(verb)) is not None:
                        return following
        return None

    async def _dial(self, dial: Dial) -> Source | None:
        """Put the person through to somebody else; `action`, if there is one, comes next."""
        hook = None if dial.action is None else self._hook(dial.action, dial.method)
        whisper = self._hook(dial.whisper_url, dial.whisper_method) if dial.whisper_url else None
        through = PuttingThrough(self._call, self._line, self._network, dial)
        self._dialed = None if hook is None else (hook, through.record)
        await through.run(whisper)
        self._dialed = None
        if hook is None:
            return None
        return Source(hook=hook, extra=through.record.params(), purpose="dial")

    async def _play(self, play: Play) -> None:
        if play.digits:
            await self.speak(keys(play.digits))
            return
        hook = self._hook(play.url, "GET")
        answer = await self._network.webhooks.send(hook, {}, self._log, "play")
        try:
            if not isinstance(answer, Answered) or answer.status >= 400:
                raise PromptError("the file could not be fetched")
            samples = await asyncio.to_thread(read_audio, answer.body, answer.content_type)
        except PromptError as error:
            self._call.problem(12300, f"{play.url}: {error}")  # Twilio plays nothing and goes on
            return
        await self._repeat(samples, play.loop)

    async def _repeat(self, samples: Frame, loop: int) -> None:
        for _ in range(loop or _FOREVER):
            await self.speak(samples)

    async def _connect(self, connect: Connect) -> Source | None:
        """Run the stream until the bot closes it. `action`, if there is one, comes next."""
        stream = connect.stream
        address = stream_address(stream.url)
        if address is None:
            raise TwimlError(NOT_VALID, f"<Stream url> must be wss (ws to loopback): {stream.url}")
        if address != stream.url:
            self._call.problem(31920, "the stream's query string was dropped, as Twilio does")
        action = None if connect.action is None else self._hook(connect.action, connect.method)
        status = self._hook(stream.status_url, stream.status_method) if stream.status_url else None
        record = StreamRecord(address, stream.name)
        self._call.streams.append(record)
        opened = await self._run_stream(record, stream.parameters, status, action)
        if action and (opened or self._network.settings.after_refused_stream == "action"):
            return Source(hook=action, purpose="action")
        return None

    async def _run_stream(
        self,
        record: StreamRecord,
        parameters: Mapping[str, str],
        status: Hook | None,
        action: Hook | None,
    ) -> bool:
        """Whether the stream opened; returns when it is over."""
        config, settings = self._network.config, self._network.settings
        number = len(self._call.streams)
        fate = stream_fate(settings.faults, settings.seed, self._call.key, number)
        if fate is not None:
            self._network.injected[fate.fault] += 1
        stream = MediaStream(
            record,
            self._call.sid,
            config.account_sid,
            config.auth_token,
            parameters,
            self._call.problem,
            fate,
        )
        try:
            socket = await stream.open()
        except StreamRefusedError as error:
            record.ended_by = "refused"
            self._call.problem(31920, f"stream handshake failed: {error}")
            self._tell(status, record, "stream-error", f"31920: {error}")
            return False
        self._tell(status, record, "stream-started")
        self.connected = action
        try:
            await stream.run(socket, self._line)
            self._tell_ended(status, record)
        finally:
            if stream.closing is not None:
                self._network.keep(stream.closing)
            self._tell(status, record, "stream-stopped")
        self.connected = None
        return True

    def _tell_ended(self, status: Hook | None, record: StreamRecord) -> None:
        if record.ended_by == "cut":
            self._call.problem(31903, "the stream's connection broke")
            self._tell(status, record, "stream-error", "31903: connection broken pipe")
        else:
            self._call.problem(31921, "the stream was closed by the application")

    def _hang_up_on_refusal(self) -> bool:
        refused = bool(self._call.streams) and self._call.streams[-1].ended_by == "refused"
        return refused and self._network.settings.after_refused_stream == "hangup"

    def _tell(self, hook: Hook | None, record: StreamRecord, event: str, error: str = "") -> None:
        if hook is not None:
            params = stream_params(self._call, record, event, error)
            with contextlib.suppress(RuntimeError):  # the carrier itself is stopping
                self._stream_callbacks.send(hook, params, "stream", event)

    def _hook(self, url: str, method: str) -> Hook:
        """A URL in a document, which may be relative to it; empty is the document's own."""
        whole = urljoin(self._at, url) if self._at else url
        if not is_web_address(whole):
            raise TwimlError(11100, f"not a valid URL: {url!r}")
        return Hook(whole, method)

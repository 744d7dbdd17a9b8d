"""Deepgram's recogniser for one call: what was said survives the loss of a connection."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf
from typing import Any

import pipecat.services.deepgram.stt as upstream_stt
from deepgram import AsyncDeepgramClient
from deepgram.core import ApiError
from deepgram.core.events import EventType
from deepgram.listen.v1.types import ListenV1CloseStream, ListenV1Finalize, ListenV1Results
from pipecat.frames.frames import (
    Frame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.deepgram.stt import DeepgramSTTService

from outdial_media.sound_taker import TakesSound
from outdial_media.turn_taking import AllHeardFrame
from outdial_media.unheard_audio import BYTES_A_SECOND, UnheardAudio

HANDSHAKE_SECONDS = 3.0
CONNECT_SECONDS = 1.0
"""A call does not wait longer for its recogniser: it hears what was said once it is there."""

ANSWER_SECONDS = 1.2
"""A recogniser that says nothing about what was said is replaced after so long (Deepgram's p99 is
0.35 s), once for each utterance; the new one is given `SECOND_ANSWER_SECONDS`."""

SECOND_ANSWER_SECONDS = 3.0

MOST_UNANSWERED = 3
"""Connections in a row that transcribed nothing of what was said."""

SEND_SECONDS = 2.0
"""A connection that takes no sound for so long is replaced: the line's reader waits for it."""

PAUSES = (0.0, 0.2, 0.5, 1.0, 1.0)
"""Seconds before each new connection, while none holds. Upstream waits 4, and gives up at 429."""

_STABLE_SECONDS = 5.0
_LAG_SECONDS = 0.3
_CLOSE_SECONDS = 1.0
_PREROLL_SECONDS = 1.0  # voice activity is noticed late
_PIECE = BYTES_A_SECOND // 2
_SEND_SPEECH_BYTES = BYTES_A_SECOND * 40 // 1000
_SEND_QUIET_BYTES = BYTES_A_SECOND * 120 // 1000
"""How much is sent at once: each message costs the same. Nobody waits for the words of silence, and
what was kept back is sent as soon as somebody speaks."""
_NEVER_AGAIN = frozenset({400, 401, 402, 403, 404})


class PhoneSTT(TakesSound, DeepgramSTTService):
    """Deepgram's recogniser.

    Adds to pipecat 1.14: a shared client, what was heard as it came, `flush`, and that a connection
    that is lost (or silent) is replaced at once, and the new one hears what has no transcript yet.
    """

    def __init__(self, client: AsyncDeepgramClient, **kwargs: Any) -> None:
        with _client_in_place(client):
            super().__init__(audio_passthrough=False, **kwargs)  # others are told by themselves
        self._connection: Any = None
        self._connection_task: Any = None
        self._unanswered = 0
        self._all_answered = asyncio.Event()
        self._unheard = UnheardAudio()
        self._unsent = bytearray()
        self._sending = asyncio.Lock()  # the line's reader sends, and who asks for transcripts
        self._fed: Any = None  # the connection that was given all of it
        self._person_speaks = False
        self._transcript_owed = False
        self._heard_of_this = False  # some of what is being said has been transcribed
        self._voice_ended = inf  # where in the stream (no earlier on a new one); told: nowhere
        self._deaf = 0
        self._patience: asyncio.TimerHandle | None = None
        self.on_heard: Callable[[TranscriptionFrame], None] = lambda _: None
        """Called with every final transcript, before the pipeline sees it."""
        self.on_replaced: Callable[[str], None] = lambda _error: None
        """A connection was lost or given up, and a new one is made: why."""

    async def flush(self, seconds: float) -> None:
        """Have everything that was said until now transcribed; wait `seconds` at most.

        Deepgram does not promise an answer to a Finalize that finds nothing new.
        """
        connection: Any = self._connection
        if connection is None:
            return
        with suppress(Exception):  # a socket that just broke has nothing more to tell
            async with asyncio.timeout(seconds):
                await self._send()
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

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Upstream's way of handing sound over."""
        await self.take_sound(audio)
        yield None

    async def take_sound(self, pcm: bytes) -> None:
        """Send sound, a few frames at a time."""
        self._unsent += pcm
        enough = _SEND_SPEECH_BYTES if self._person_speaks else _SEND_QUIET_BYTES
        if len(self._unsent) >= enough or self._connection is not self._fed:
            await self._send()

    async def _send(self) -> None:
        """Send what waits; to a connection that is new, all that has no transcript yet."""
        async with self._sending:
            audio = bytes(self._unsent)
            self._unsent.clear()
            self._unheard.sent(audio)
            if not (self._person_speaks or self._transcript_owed):
                self._unheard.keep_last(_PREROLL_SECONDS)
            connection: Any = self._connection
            if connection is not None:
                try:
                    async with asyncio.timeout(SEND_SECONDS):
                        await self._feed(connection, audio)
                except TimeoutError:
                    if self._connection is connection:
                        self.on_replaced("it takes no sound")
                        await self._replace_connection()
                except Exception:  # noqa: BLE001 - it broke: the handler connects anew
                    self._connection = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Notice when there is something to transcribe."""
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._person_speaks, self._heard_of_this = True, False
            self._voice_ended = inf
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            await self._send()  # Finalize asks for what was sent
            self._person_speaks, self._transcript_owed = False, True
            heard_to, unheard = self._unheard.heard_to, self._unheard.seconds
            self._voice_ended = heard_to + unheard - frame.stop_secs
            self._wait_for_answer(ANSWER_SECONDS, again=True)
        try:
            await super().process_frame(frame, direction)
        except Exception:
            if not isinstance(frame, VADUserStoppedSpeakingFrame):
                raise
            self._connection = None  # Finalize could not be sent; the next connection is sent one
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            await self._tell_if_all_is_heard()

    async def _tell_if_all_is_heard(self) -> None:
        """Spare a reply the answer to Finalize where it can only be empty.

        Deepgram finalizes by itself at pauses (`endpointing`), often before the silence has been
        long enough for us: what is not transcribed then is silence.
        """
        if self._unheard.heard_to >= self._voice_ended:
            self._voice_ended = inf
            await self.push_frame(AllHeardFrame())

    async def cleanup(self) -> None:
        """Let go of everything."""
        self._stop_waiting()
        await super().cleanup()

    async def _feed(self, connection: Any, audio: bytes) -> None:
        if connection is self._fed:
            if audio:  # nothing at all would mean that the stream is over
                await connection.send_media(audio)
            return
        self._fed = connection
        self._unanswered = 0  # what the lost one was asked is never answered
        again = self._unheard.again()
        for at in range(0, len(again), _PIECE):
            await connection.send_media(again[at : at + _PIECE])
        if self._transcript_owed:
            self.request_finalize()
            await connection.send_finalize(ListenV1Finalize(type="Finalize"))

    async def _on_message(self, message: Any) -> None:
        if isinstance(message, ListenV1Results):
            self._deaf = 0
            if message.is_final:
                self._unheard.heard_until(message.start + message.duration)
                self._heard_of_this = True
                self._transcript_owed = self._transcript_owed and not message.from_finalize
        await super()._on_message(message)
        if isinstance(message, ListenV1Results) and message.from_finalize:
            self._unanswered = max(0, self._unanswered - 1)
            if not self._unanswered:
                self._all_answered.set()
                await self.push_frame(AllHeardFrame())
        elif isinstance(message, ListenV1Results) and message.is_final:
            await self._tell_if_all_is_heard()

    # A recogniser that does not answer.

    def _wait_for_answer(self, seconds: float, *, again: bool) -> None:
        """Look in `seconds` whether there is a transcript; `again`: another connection may help."""
        self._stop_waiting()
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds

        def look() -> None:
            if loop.time() - due > _LAG_SECONDS:  # an answer may wait behind our own lateness
                self._wait_for_answer(seconds, again=again)
            else:
                self.create_task(self._look_for_answer(again=again))

        self._patience = loop.call_at(due, look)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    async def _look_for_answer(self, *, again: bool) -> None:
        if self._heard_of_this or not self._transcript_owed or self._person_speaks:
            # Deepgram does not promise an answer to a Finalize that finds nothing new.
            self._transcript_owed = self._transcript_owed and self._person_speaks
            return
        self._deaf += 1
        if self._deaf >= MOST_UNANSWERED:
            await self.push_error(
                f"{self._deaf} connections transcribed nothing", force_treat_as_permanent=True
            )
        elif again:
            if self._connection is not None:  # or a new one is being made already
                self.on_replaced("no transcript of what was said")
                await self._replace_connection()
            self._wait_for_answer(SECOND_ANSWER_SECONDS, again=False)
        else:
            self._transcript_owed = False

    # Connections.

    async def _connect(self) -> None:
        self._connection_settled.clear()
        self._connection_task = self.create_task(self._connection_handler())
        with suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._connection_settled.wait()

    async def _disconnect(self) -> None:
        self._stop_waiting()
        task, self._connection_task = self._connection_task, None
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # a socket that just broke needs no goodbye
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await connection.send_close_stream(ListenV1CloseStream(type="CloseStream"))
        if task is not None:
            await self.cancel_task(task)

    async def _replace_connection(self) -> None:
        old, self._connection = self._connection_task, None
        self._connection_task = self.create_task(self._connection_handler())
        if old is not None:
            self.create_task(self.cancel_task(old), "closing a silent connection")

    async def _connection_handler(self) -> None:
        """Hold a connection, and make a new one when it is lost; give up when none holds."""
        failures = 0
        try:
            while True:
                began = time.monotonic()
                error = await self._hold_connection()
                failures = 0 if time.monotonic() - began > _STABLE_SECONDS else failures + 1
                self.on_replaced(error)
                if failures > len(PAUSES):
                    await self.push_error(error, force_treat_as_permanent=True)
                    return
                await asyncio.sleep(PAUSES[max(0, failures - 1)])
        except ApiError as error:
            await self.push_error(
                f"Deepgram refuses to listen: {error.status_code}",
                exception=error,
                force_treat_as_permanent=True,
            )
        finally:
            self._connection_settled.set()

    async def _hold_connection(self) -> str:
        """One connection from its handshake to its loss; why it was lost.

        Raises:
            ApiError: asking again would get the same answer.

        """
        manager = self._client.listen.v1.connect(**self._build_connect_kwargs())
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                connection = await manager.__aenter__()
        except ApiError as error:
            if error.status_code in _NEVER_AGAIN:
                raise
            return f"handshake answered {error.status_code}"
        except Exception as error:  # noqa: BLE001 - whatever it is, another one may work
            return f"handshake failed: {error!r}"
        keepalive = self.create_task(self._keepalive_handler(), f"{self}::keepalive")
        try:
            connection.on(EventType.MESSAGE, self._on_message)
            self._connection = connection
            self._connection_settled.set()
            await connection.start_listening()
        except Exception as error:  # noqa: BLE001
            return f"connection lost: {error!r}"
        finally:
            if self._connection is connection:
                self._connection = None
            await self.cancel_task(keepalive)
            with suppress(Exception):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await manager.__aexit__(None, None, None)
        return "connection closed"


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

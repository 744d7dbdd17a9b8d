"""The life of one call: queue, ring, answer, conversation, end."""

import asyncio
import logging
import time
import zlib
from collections.abc import Coroutine
from typing import Any, TypeVar

from outdial_sandbox.carrier.api_errors import ApiError
from outdial_sandbox.carrier.call import Call, End, EndedBy
from outdial_sandbox.carrier.call_audio import CallAudio
from outdial_sandbox.carrier.call_request import DetectionRequest, RecordingRequest
from outdial_sandbox.carrier.callback_chain import CallbackChain
from outdial_sandbox.carrier.faults import between
from outdial_sandbox.carrier.line import Line
from outdial_sandbox.carrier.machine_detection import Verdict
from outdial_sandbox.carrier.network import Network
from outdial_sandbox.carrier.quiet_line import QuietLine
from outdial_sandbox.carrier.recording import Recording
from outdial_sandbox.carrier.status_callbacks import StatusCallbacks, tell_recording
from outdial_sandbox.carrier.tones import keys
from outdial_sandbox.carrier.twiml_interpreter import Interpreter, Source

_FOR_EVER = float("inf")
_POST_DIAL_SHARE = 0.1  # of the ring: the network looks for the phone before it rings
_SIP_CODES = {"busy": 486, "no_answer": 487, "rejected": 603, "failed": 404}

_Reached = TypeVar("_Reached")

logger = logging.getLogger(__name__)


class OutboundCall:
    """Runs a call. `run` returns when it is over and its last callbacks are on their way."""

    def __init__(self, call: Call, network: Network, earlier_calls: int) -> None:
        self.call = call
        self._network = network
        self._seed = zlib.crc32(f"{call.request.to}/{earlier_calls}".encode())
        self._callbacks = StatusCallbacks(call, network)
        self._recording_callbacks = CallbackChain(network, call.key, call.log)
        self._ending: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._update: asyncio.Future[Source] = asyncio.get_running_loop().create_future()
        self._interpreter: Interpreter | None = None
        self.finished = asyncio.Event()

    def end(self, end: End) -> None:
        """End the call now, whatever it is doing. The first to say so is right."""
        if not self._ending.done():
            self._ending.set_result(end)

    def update(self, source: Source) -> None:
        """Drop what the call is doing and execute `source`."""
        if self._update.done():
            self._update = asyncio.get_running_loop().create_future()
        self._update.set_result(source)

    def record(self, request: RecordingRequest) -> Recording:
        """Start a recording of the line, from now to the end of the call. Raises ApiError 21220."""
        if self.call.line is None or self.call.status != "in-progress":
            raise ApiError(21220, "Call is not in-progress. Cannot record.")
        number = len(self.call.recordings)
        name = f"{self.call.sid}-{number + 1}.wav" if number else f"{self.call.sid}.wav"
        path = self._network.config.recordings / name
        recording = Recording(self.call.sid, request, path)
        self.call.recordings.append(recording)
        self.call.line.record(recording)
        tell_recording(self._recording_callbacks, self._network, recording)
        return recording

    async def run(self) -> None:
        """From the queue to the end."""
        reached = await self._unless_ended(self._until_answered())
        if not isinstance(reached, End):
            reached = await self._unless_ended(self._conversation(reached))
        self._finish(reached)
        self.finished.set()

    async def _unless_ended(self, work: Coroutine[Any, Any, _Reached]) -> _Reached | End:
        """Do `work`, unless somebody ends the call first."""
        task = asyncio.create_task(work)
        try:
            either: set[asyncio.Future[Any]] = {task, self._ending}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
            await asyncio.wait({task})
        if self._ending.done():
            return self._ending.result()
        if error := task.exception():
            logger.error("call %s failed", self.call.sid, exc_info=error)
            return End("completed" if self.call.answered_at else "failed", "carrier", 500)
        return task.result()

    async def _until_answered(self) -> Line | End:
        """Queue, dial and ring, until somebody picks up or nobody will."""
        await self._network.departures.wait_turn()
        self.call.dial()
        self._callbacks.fire("initiated", "initiated")
        answer, settings = self.call.person.answer, self._network.settings
        ring = answer.ring_seconds * settings.ring_scale()
        if ring != _FOR_EVER:
            ring = min(ring, settings.longest_ring)
        preparing = None
        if answer.picked_up and settings.audio:
            start = self.call.person.start
            preparing = self._network.spawn(asyncio.to_thread(start, self._seed), "person")
        sip_code = answer.sip_code or _SIP_CODES.get(answer.kind)
        if answer.kind in ("busy", "failed"):
            await asyncio.sleep(ring)
            return End("busy" if answer.kind == "busy" else "failed", "carrier", sip_code)
        if not await self._ring(ring):
            return End("no-answer", "carrier", _SIP_CODES["no_answer"])
        if not answer.picked_up:
            return End("busy", "person", sip_code)  # Twilio reports a declined call as busy
        return (
            self._quiet_line() if preparing is None else CallAudio(await preparing, self._hung_up)
        )

    def _quiet_line(self) -> QuietLine:
        settings = self._network.settings
        seconds = between(*settings.talk_seconds, settings.seed, "talk", self.call.key)
        return QuietLine(self.call.person, seconds, self._hung_up)

    async def _ring(self, seconds: float) -> bool:
        """Whether it was answered before the caller gave up."""
        limit = min(self.call.request.ring_timeout, self._network.settings.longest_ring)
        looking = min(seconds, limit) * _POST_DIAL_SHARE
        if seconds == _FOR_EVER:
            looking = min(looking, 0.1)
        await asyncio.sleep(looking)
        self.call.move("ringing")
        self._callbacks.fire("ringing", "ringing")
        await asyncio.sleep(max(min(seconds, limit) - looking, 0))
        return seconds <= limit

    async def _conversation(self, line: Line) -> End:
        self._answer(line)
        self._interpreter = Interpreter(self.call, line, self._network)
        self._callbacks.fire("answered", "in-progress")
        try:
            async with asyncio.timeout(self.call.request.time_limit):
                by = await self._instructions(line, self._interpreter)
        except TimeoutError:
            return End("completed", "carrier", 200)
        return End("completed", by, 200)

    def _answer(self, line: Line) -> None:
        self.call.line = line
        self.call.answered_at = time.time()
        self.call.move("in-progress")
        if self.call.request.recording:
            self.record(self.call.request.recording)
        line.start(self._network.pacer)

    def _hung_up(self, broken: bool) -> None:
        self.end(End("completed", "carrier" if broken else "person", 500 if broken else 200))

    async def _instructions(self, line: Line, interpreter: Interpreter) -> EndedBy:
        """Run the call's TwiML, and whatever REST puts in its place."""
        flow = asyncio.create_task(self._begin(line, interpreter))
        try:
            while True:
                either: set[asyncio.Future[Any]] = {flow, self._update}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not self._update.done():
                    return flow.result()
                source = self._update.result()
                self._update = asyncio.get_running_loop().create_future()
                await _stop(flow)
                self._streams_ended_by("caller")
                interpreter.left(tell=self._network.settings.action_on_update)
                flow = asyncio.create_task(interpreter.run(source))
        finally:
            await _stop(flow)

    async def _begin(self, line: Line, interpreter: Interpreter) -> EndedBy:
        request = self.call.request
        if request.detection is not None:
            verdict = self._detect(line, request.detection)
            if not request.detection.asynchronous:
                await verdict  # Twilio holds the first document until it knows
        if request.send_digits:
            await interpreter.speak(keys(request.send_digits))
        return await interpreter.run(Source(hook=request.voice, twiml=request.twiml))

    def _detect(self, line: Line, request: DetectionRequest) -> asyncio.Future[None]:
        known: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def told(verdict: Verdict, seconds: float) -> None:
            self.call.answered_by, self.call.detection_ms = verdict, round(seconds * 1000)
            if request.asynchronous:
                self._tell_verdict(request)
            if not known.done():
                known.set_result(None)

        line.detect(request, told)
        return known

    def _tell_verdict(self, request: DetectionRequest) -> None:
        if request.callback is None:
            return
        params = {
            "CallSid": self.call.sid,
            "AccountSid": self.call.account_sid,
            "AnsweredBy": self.call.answered_by or "",
            "MachineDetectionDuration": str(self.call.detection_ms),
        }
        chain = CallbackChain(self._network, self.call.key, self.call.log)
        chain.send(request.callback, params, "amd")
        chain.finish()

    def _streams_ended_by(self, by: EndedBy) -> None:
        for stream in self.call.streams:
            stream.ended_by = stream.ended_by or by

    def _finish(self, end: End) -> None:
        self._streams_ended_by(end.by)
        if self.call.line is not None:
            self.call.line.end()
        self.call.end(end)
        self._callbacks.fire("completed", end.status)
        self._callbacks.finish()
        for recording in self.call.recordings:
            tell_recording(self._recording_callbacks, self._network, recording)
        self._recording_callbacks.finish()
        if self._interpreter is not None:
            self._interpreter.left(tell=self._network.settings.action_on_hangup)


async def _stop(flow: asyncio.Task[EndedBy]) -> None:
    """Cancel TwiML that is being executed, and wait until it has let go of the line."""
    if not flow.done():
        flow.cancel()
        await asyncio.wait({flow})

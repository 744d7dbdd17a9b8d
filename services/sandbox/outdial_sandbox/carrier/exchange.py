"""The exchange: accepts calls, keeps them, and finds them again."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from outdial_sandbox.carrier.api_errors import ApiError
from outdial_sandbox.carrier.call import Call, End
from outdial_sandbox.carrier.call_request import (
    Form,
    checked_twiml,
    e164,
    parse_call,
    parse_recording,
)
from outdial_sandbox.carrier.config import CarrierConfig, NetworkSettings
from outdial_sandbox.carrier.faults import post_fault
from outdial_sandbox.carrier.ledger import Ledger
from outdial_sandbox.carrier.network import Network
from outdial_sandbox.carrier.outbound_call import OutboundCall
from outdial_sandbox.carrier.recording import Recording
from outdial_sandbox.carrier.twiml_interpreter import Source
from outdial_sandbox.people.behaviour import Person

# What a POST that is made to fail is answered with when nothing is placed.
REFUSING = {"post_429": 20429, "post_10004": 10004, "post_500": 20500}
_KEPT = ("To", "From", "Url", "StatusCallback")

WhoAnswers = Callable[[str, int], Person]


class Exchange:
    """All calls of the account. Everything here runs on one event loop."""

    def __init__(
        self, config: CarrierConfig, settings: NetworkSettings, who_answers: WhoAnswers
    ) -> None:
        self.config = config
        self.began_at = time.time()
        self.network = Network(config, settings, who_answers)
        self.ledger = Ledger(self.network.injected)
        self.who_answers = who_answers
        self.calls: dict[str, Call] = {}
        self._running: dict[str, OutboundCall] = {}

    @property
    def settings(self) -> NetworkSettings:
        """How the network behaves now."""
        return self.network.settings

    @settings.setter
    def settings(self, settings: NetworkSettings) -> None:
        self.network.settings = settings

    def place(self, form: Form) -> Call:
        """Accept a call and begin it. Raises ApiError for one that Twilio would refuse."""
        given = {name: form.text(name) for name in _KEPT if form.has(name)}
        given |= {"To": e164(given["To"]) or given["To"]} if "To" in given else {}
        try:
            call, earlier = self._accept(form, given.get("To", ""))
        except ApiError as error:
            self.ledger.posted(given, error.code, None)
            raise
        self.ledger.posted(given | {"From": call.request.caller}, "accepted", call)
        self.calls[call.sid] = call
        self._running[call.sid] = OutboundCall(call, self.network, earlier)
        self.network.spawn(self._run(call.sid), f"call {call.sid}")
        return call

    @property
    def live_calls(self) -> int:
        """How many calls have not ended."""
        return len(self._running)

    def call(self, sid: str) -> Call:
        """A call by its SID. Raises ApiError 20404."""
        if (found := self.calls.get(sid)) is None:
            raise ApiError(20404, f"{self.config.account_path}/Calls/{sid}.json")
        return found

    def recordings(self) -> list[Recording]:
        """Every recording, newest first."""
        found = [recording for call in self.calls.values() for recording in call.recordings]
        return sorted(found, key=lambda recording: recording.started_at, reverse=True)

    def recording(self, sid: str) -> Recording:
        """A recording by its SID. Raises ApiError 20404."""
        found = next((item for item in self.recordings() if item.sid == sid), None)
        if found is None:
            raise ApiError(20404, f"{self.config.account_path}/Recordings/{sid}.json")
        return found

    async def update(self, sid: str, form: Form) -> Call:
        """Redirect or end a call. Raises ApiError 20404 for one that is already over."""
        call = self.call(sid)
        running = self._running.get(sid)
        status = form.text("Status")
        if status not in ("", "completed", "canceled"):
            raise ApiError(20001, f"Invalid Status {status}: completed or canceled")
        if running is None and status:
            raise ApiError(20404, f"{self.config.account_path}/Calls/{sid}.json")
        self._change_hooks(call, form)
        if status and running is not None:
            await self._hang_up(call, running, status)
        elif form.has("Url") or form.has("Twiml"):
            self._redirect(call, running, form)
        return call

    def record(self, sid: str, form: Form) -> Recording:
        """Start recording a live call. Raises ApiError 21220 if it is not in progress."""
        call = self.call(sid)
        running = self._running.get(sid)
        if running is None or call.status != "in-progress":
            message = (
                "Requested resource is not eligible for recording: the call is not in progress"
            )
            raise ApiError(21220, message)
        return running.record(parse_recording(form, "StartCallRecordingAPI"))

    def delete(self, sid: str) -> None:
        """Remove an ended call. Raises ApiError 20009 while it lives."""
        if not self.call(sid).over:
            raise ApiError(20009, "the call has not ended yet")
        del self.calls[sid]

    async def close(self) -> None:
        """End all calls at once."""
        for running in list(self._running.values()):
            running.end(End("completed", "carrier"))
        if self._running:
            await asyncio.wait(
                [task for task in self.network.tasks if task.get_name().startswith("call ")],
                timeout=2,
            )
        await self.network.close()

    def _accept(self, form: Form, to: str) -> tuple[Call, int]:
        key = f"{to}/{self.ledger.posts_to(to)}"
        fault = post_fault(self.settings.faults, self.settings.seed, key)
        if fault in REFUSING:
            self.network.injected[fault] += 1
            raise ApiError(REFUSING[fault])
        request = parse_call(form, self.settings.numbers)
        earlier = self.ledger.earlier_calls(request.to)
        person = self.who_answers(request.to, earlier)
        if person.answer.kind == "invalid":
            raise ApiError(person.answer.error_code or 21211, request.to)
        if fault is not None:
            self.network.injected[fault] += 1
        return Call(self.config.account_sid, request, person, key, fault), earlier

    async def _run(self, sid: str) -> None:
        running = self._running[sid]
        try:
            await running.run()
        finally:
            del self._running[sid]
            self.ledger.ended(running.call)
            running.call.forget()  # the person, its speech and the line are let go

    async def _hang_up(self, call: Call, running: OutboundCall, status: str) -> None:
        if call.answered_at is None:
            running.end(End("canceled", "caller", 487))
        elif status == "completed":
            running.end(End("completed", "caller", 200))
        else:
            return  # Twilio: canceled does not affect calls already in progress
        await running.finished.wait()

    def _redirect(self, call: Call, running: OutboundCall | None, form: Form) -> None:
        if running is None or call.status != "in-progress":
            raise ApiError(21220, "Call is not in-progress. Cannot redirect.")
        if hook := form.hook("Url"):
            running.update(Source(hook=hook, purpose="update"))
        else:
            running.update(Source(twiml=checked_twiml(form.text("Twiml")), purpose="update"))

    def _change_hooks(self, call: Call, form: Form) -> None:
        fallback, status = form.hook("FallbackUrl"), form.hook("StatusCallback", 21609)
        call.request = replace(
            call.request,
            fallback=fallback or call.request.fallback,
            status=status or call.request.status,
        )

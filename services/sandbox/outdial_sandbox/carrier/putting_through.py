"""`<Dial>`: call somebody else, whisper to them, and connect the two until one hangs up."""

import numpy as np

from outdial_sandbox.carrier.call import Call, call_params
from outdial_sandbox.carrier.call_request import Hook
from outdial_sandbox.carrier.dialed_leg import DialedLeg, LegRecord
from outdial_sandbox.carrier.fetched_document import document_of
from outdial_sandbox.carrier.line import Line
from outdial_sandbox.carrier.network import Network
from outdial_sandbox.carrier.prompts import spoken
from outdial_sandbox.carrier.twiml_document import Dial, Say
from outdial_sandbox.people.behaviour import Frame

_NOTHING: Frame = np.zeros(0, np.int16)


class PuttingThrough:
    """One `<Dial>` of one call. `record` is in the call's ledger from the beginning."""

    def __init__(self, call: Call, line: Line, network: Network, dial: Dial) -> None:
        self._call, self._line, self._network, self._dial = call, line, network, dial
        person = network.who_answers(dial.number, 0)
        self.record = LegRecord(dial.number, dial.caller_id or call.request.caller, person.key)
        self._leg = DialedLeg(self.record, person, network)
        self._log = call.log
        call.legs.append(self.record)

    async def run(self, whisper: Hook | None) -> None:
        """Until the second leg is over; cancelled when the first one is."""
        try:
            if await self._leg.answered(self._dial.timeout):
                await self._whisper(whisper)
                await self._bridge()
        finally:
            self.record.end("completed" if self.record.bridged_at else "canceled")

    async def _whisper(self, hook: Hook | None) -> None:
        if hook is None:
            return
        params = call_params(self._call) | {"CallSid": self.record.sid, "To": self.record.to}
        answer = await self._network.webhooks.send(hook, params, self._log, "whisper")
        texts = [verb for verb in document_of(answer) if isinstance(verb, Say)]
        sounds = [] if self._line.quiet else [await spoken(t.text, t.language) for t in texts]
        self._leg.whisper(np.concatenate([_NOTHING, *sounds]))

    async def _bridge(self) -> None:
        if self._line.quiet:  # nobody speaks: they have met, and that is all
            self.record.bridged_at = self.record.answered_at
            return
        self._line.play(self._leg)
        self._line.listen(self._leg.hear)
        try:
            await self._leg.over.wait()
        finally:
            self._line.release(self._leg)

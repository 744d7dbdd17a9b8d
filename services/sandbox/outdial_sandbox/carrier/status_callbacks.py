"""StatusCallback and RecordingStatusCallback: when they are sent, and their fields."""

import math
import time

from outdial_sandbox.carrier.call import Call, call_params
from outdial_sandbox.carrier.callback_chain import CallbackChain
from outdial_sandbox.carrier.identifiers import rfc2822
from outdial_sandbox.carrier.network import Network
from outdial_sandbox.carrier.recording import Recording
from outdial_sandbox.carrier.resources import recording_url


class StatusCallbacks:
    """The progress of one call. Numbered in the order in which they were fired."""

    def __init__(self, call: Call, network: Network) -> None:
        self._call = call
        self._network = network
        self._chain = CallbackChain(network, call.key, call.log)
        self._number = 0

    def fire(self, event: str, status: str) -> None:
        """Send `event` (initiated, ringing, answered, completed), if it was asked for."""
        request = self._call.request
        if request.status is None or event not in request.events:
            return
        params = call_params(self._call, status) | {
            "Timestamp": rfc2822(time.time()) or "",
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(self._number),
        }
        if self._call.answered_by:
            params["AnsweredBy"] = self._call.answered_by
        if event == "completed":
            params |= self._final_params()
        self._number += 1
        self._chain.send(request.status, params, "status", event)

    def finish(self) -> None:
        """Nothing follows any more."""
        self._chain.finish()

    def _final_params(self) -> dict[str, str]:
        seconds = self._call.seconds
        params = {"CallDuration": str(seconds), "Duration": str(math.ceil(seconds / 60))}
        if self._call.sip_code is not None:
            params["SipResponseCode"] = str(self._call.sip_code)
        recording = next(
            (item for item in self._call.recordings if item.request.source == "OutboundAPI"), None
        )
        if recording is not None and recording.status == "completed":
            params |= {
                "RecordingUrl": recording_url(self._network.config, recording),
                "RecordingSid": recording.sid,
                "RecordingDuration": str(round(recording.seconds)),
            }
        return params


def tell_recording(chain: CallbackChain, network: Network, recording: Recording) -> None:
    """Send the status of a recording, if it was asked for."""
    hook = recording.request.callback
    if hook is None or recording.status not in recording.request.events:
        return
    params = {
        "AccountSid": network.config.account_sid,
        "CallSid": recording.call_sid,
        "RecordingSid": recording.sid,
        "RecordingUrl": recording_url(network.config, recording),
        "RecordingStatus": recording.status,
        "RecordingDuration": str(round(recording.seconds)),
        "RecordingChannels": str(recording.request.channels),
        "RecordingStartTime": rfc2822(recording.started_at) or "",
        "RecordingSource": recording.request.source,
        "RecordingTrack": "both",
        "ErrorCode": "0",
    }
    chain.send(hook, params, "recording", recording.status)

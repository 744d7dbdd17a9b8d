"""Every URL that is given to Twilio is built here.

Each carries the attempt's id in its path, so that the first request that comes back names the
CallSid even if the answer to our POST was lost. What is needed to connect a call without any store
stands in the query: Twilio signs it. Fragments say how patient Twilio is and how often it tries
again (`ct` connect, `rt` read, `rc` retries, `rp` on what); it neither sends nor signs them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode
from uuid import UUID

from outdial.settings import Settings, socket_of_pod

# A gateway that hangs costs 1.5 s before the fallback is asked, not Twilio's 15.
_ANSWER = "ct=500&rt=1500&rc=0"
# Asked twice it answers the same, and a call hangs on it.
_STREAM_ENDED = "ct=500&rt=2500&rc=2&rp=ct,rt,5xx"
# Every callback is written once, however often it comes.
_CALLBACK = "ct=1000&rt=5000&rc=3&rp=ct,rt,5xx"


@dataclass(frozen=True)
class AnswerHint:
    """What the voice route must know to connect a call from its URL alone.

    `holds` counts how often the caller was asked to wait already, in the template's `language`.
    """

    pod_id: str
    boot_id: str
    pod_url: str
    template_id: UUID
    lead_id: UUID | None = None
    holds: int = 0
    language: str = ""

    def held_once_more(self) -> "AnswerHint":
        """The hint for the next request, after one more hold."""
        return replace(self, holds=self.holds + 1)

    def query(self) -> str:
        """As the URL's query."""
        fields = {
            "pod": self.pod_id,
            "boot": self.boot_id,
            "at": self.pod_url,
            "template": str(self.template_id),
            "lead": str(self.lead_id) if self.lead_id else "",
            "holds": self.holds,
            "lang": _unless_american(self.language),
        }
        return _encode(fields)


class CallbackUrls:
    """Builds them from the public address in the settings."""

    def __init__(self, settings: Settings) -> None:
        self._public = settings.public_url
        self._fallback = settings.fallback_url or settings.public_url

    def voice(self, attempt_id: UUID, hint: AnswerHint) -> str:
        """Asked when the call is answered: answers with TwiML."""
        return f"{self._public}/twilio/voice/{attempt_id}?{hint.query()}#{_ANSWER}"

    def fallback(self, attempt_id: UUID, hint: AnswerHint) -> str:
        """Asked when TwiML could not be had or could not be executed."""
        path = f"twilio/callback/twiml-fallback/{attempt_id}"
        return f"{self._fallback}/{path}?{hint.query()}#ct=1000&rt=5000&rc=1"

    def status(self, attempt_id: UUID) -> str:
        """Told of each step of the call."""
        return self._callback(f"status/{attempt_id}")

    def recording(self, attempt_id: UUID) -> str:
        """Told when a recording is there."""
        return self._callback(f"details/{attempt_id}")

    def amd(self, attempt_id: UUID) -> str:
        """Told who or what answered."""
        return self._callback(f"amd/{attempt_id}")

    def stream_status(self, attempt_id: UUID) -> str:
        """Told when a media stream starts, stops or fails."""
        return self._callback(f"stream-status/{attempt_id}")

    def stream_ended(
        self, attempt_id: UUID, stream_no: int, holds: int = 0, language: str = ""
    ) -> str:
        """Asked what comes after the media stream: answers with TwiML.

        `holds` counts how often the caller was asked to wait for that answer, in `language`.
        """
        path = f"twilio/callback/stream-ended/{attempt_id}/{stream_no}"
        query = _query(holds=holds, lang=_unless_american(language))
        return f"{self._public}/{path}{query}#{_STREAM_ENDED}"

    def voicemail_spoken(self, attempt_id: UUID) -> str:
        """Asked when the carrier has spoken a message to its end."""
        return f"{self._public}/twilio/callback/voicemail-spoken/{attempt_id}#{_STREAM_ENDED}"

    def transfer_ended(
        self, attempt_id: UUID, holds: int = 0, dial_status: str = "", language: str = ""
    ) -> str:
        """Asked what comes after a dial to a human: answers with TwiML.

        Asked again after a hold, `dial_status` is what Twilio said of the dial the first time.
        """
        path = f"twilio/callback/transfer-ended/{attempt_id}"
        query = _query(holds=holds, dial=dial_status, lang=_unless_american(language))
        return f"{self._public}/{path}{query}#{_STREAM_ENDED}"

    def transfer_whisper(self, attempt_id: UUID) -> str:
        """Asked for what the human hears before the two meet: answers with TwiML."""
        return f"{self._public}/twilio/callback/transfer-whisper/{attempt_id}#{_STREAM_ENDED}"

    def pod_socket(self, pod_id: str) -> str:
        """Where a pod is reached behind the gateway's own host, if nothing better is known."""
        return socket_of_pod(self._public, pod_id)

    def _callback(self, path: str) -> str:
        return f"{self._public}/twilio/callback/{path}#{_CALLBACK}"


def _unless_american(language: str) -> str:
    """What is said in without being told needs no place in an address."""
    return "" if language == "en-US" else language


def _query(**fields: object) -> str:
    query = _encode(fields)
    return f"?{query}" if query else ""


def _encode(fields: Mapping[str, object]) -> str:
    """Without what is empty, or nought."""
    return urlencode({name: value for name, value in fields.items() if value})


def stream_url(pod_url: str, template_id: UUID, token: str) -> str:
    """A pod's media socket for one stream of one call. Twilio drops queries of `<Stream>`."""
    return f"{pod_url}/ws/{template_id}/{token}"

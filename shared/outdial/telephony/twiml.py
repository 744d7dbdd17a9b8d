"""TwiML, built by an XML builder: whatever stands in a text or a URL, the document is one."""

import re
from collections.abc import Mapping

from twilio.twiml.voice_response import Connect, VoiceResponse

from outdial.domain.languages import carrier_voice

MOST_PARAMETER_CHARACTERS = 499
"""Twilio drops a `<Parameter>` whose name and value together are longer."""

# XML 1.0 has no way to write these, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def connect_stream(
    url: str, *, action: str, status_callback: str, parameters: Mapping[str, str]
) -> str:
    """Connect the call with a media socket; when the stream ends Twilio asks `action`.

    What follows a socket that is refused is not documented: a pod that died a moment ago must not
    end the call, so the next verb asks `action` too. After a stream that opened it is not reached.
    """
    response = VoiceResponse()
    connect = Connect(action=_plain(action), method="POST")
    stream = connect.stream(
        url=_plain(url), status_callback=_plain(status_callback), status_callback_method="POST"
    )
    for name, value in parameters.items():
        stream.parameter(name=_plain(name), value=_plain(value)[:MOST_PARAMETER_CHARACTERS])
    response.append(connect)
    response.redirect(_plain(action), method="POST")
    return str(response)


def hold_and_redirect(text: str, url: str, language: str, pause_seconds: int) -> str:
    """Say that it takes a moment, wait, and have Twilio ask `url`."""
    response = VoiceResponse()
    _say(response, text, language)
    response.pause(length=pause_seconds)
    response.redirect(_plain(url), method="POST")
    return str(response)


def say_and_redirect(text: str, url: str, language: str, pause_seconds: int = 0) -> str:
    """Wait, say `text` to its end, then have Twilio ask `url`."""
    response = VoiceResponse()
    if pause_seconds:
        response.pause(length=pause_seconds)
    _say(response, text, language)
    response.redirect(_plain(url), method="POST")
    return str(response)


def dial(
    number: str, *, caller_id: str, timeout_seconds: int, action: str, whisper: str | None
) -> str:
    """Call somebody else and connect the two; Twilio asks `action` when that has ended.

    `whisper` is asked for what the one who is called hears before they meet.
    """
    response = VoiceResponse()
    called = response.dial(
        action=_plain(action), method="POST", timeout=timeout_seconds, caller_id=_plain(caller_id)
    )
    if whisper:
        called.number(_plain(number), url=_plain(whisper), method="POST")
    else:
        called.number(_plain(number))
    return str(response)


def say(text: str, language: str) -> str:
    """Say `text`, and nothing else."""
    response = VoiceResponse()
    _say(response, text, language)
    return str(response)


def say_goodbye(text: str, language: str) -> str:
    """Say `text` and hang up."""
    response = VoiceResponse()
    _say(response, text, language)
    response.hangup()
    return str(response)


def hangup() -> str:
    """Hang up without a word."""
    response = VoiceResponse()
    response.hangup()
    return str(response)


def empty() -> str:
    """Nothing to do: for a call that is over."""
    return str(VoiceResponse())


def _say(response: VoiceResponse, text: str, language: str) -> None:
    """In a voice that speaks the language, whatever the account's own voice is."""
    spoken = carrier_voice(language)
    response.say(_plain(text), language=spoken.language, voice=spoken.voice)


def _plain(text: str) -> str:
    return _NOT_XML.sub("", text)

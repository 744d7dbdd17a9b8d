"""Twilio Media Streams' messages, read and written. 8 kHz mu-law outside, 16-bit PCM inside."""

import audioop
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

SAMPLE_RATE = 8000


@dataclass(frozen=True)
class StreamStart:
    """The stream begins: only from here on may anything be sent."""

    stream_sid: str
    call_sid: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sound:
    """20 ms of what the person says, as 16-bit PCM."""

    pcm: bytes


@dataclass(frozen=True)
class MarkEcho:
    """What was sent before this mark was played, or cleared."""

    name: str


@dataclass(frozen=True)
class StreamStop:
    """The carrier ended the stream."""


Message = StreamStart | Sound | MarkEcho | StreamStop


def read(text: str) -> Message | None:
    """One message; None for those that carry nothing for us, and for what is no message."""
    try:
        message = json.loads(text)
        match message["event"]:
            case "media":
                return Sound(audioop.ulaw2lin(base64.b64decode(message["media"]["payload"]), 2))
            case "mark":
                return MarkEcho(str(message["mark"]["name"]))
            case "start":
                return _start(message["start"])
            case "stop":
                return StreamStop()
    except (KeyError, TypeError, ValueError):
        return None
    return None


def _start(start: Mapping[str, object]) -> StreamStart:
    stream_sid, call_sid = str(start["streamSid"]), str(start["callSid"])
    parameters = start.get("customParameters")
    return StreamStart(
        stream_sid=stream_sid,
        call_sid=call_sid,
        parameters={k: str(v) for k, v in parameters.items()}
        if isinstance(parameters, Mapping)
        else {},
    )


def media(stream_sid: str, pcm: bytes) -> str:
    """Sound for the person, from 16-bit PCM."""
    payload = base64.b64encode(audioop.lin2ulaw(pcm, 2)).decode()
    # Written by hand: this is the one message sent 25 times a second for each call.
    return f'{{"event":"media","streamSid":"{stream_sid}","media":{{"payload":"{payload}"}}}}'


def mark(stream_sid: str, name: str) -> str:
    """Ask to be told when everything sent so far was played."""
    return json.dumps({"event": "mark", "streamSid": stream_sid, "mark": {"name": name}})


def clear(stream_sid: str) -> str:
    """Drop what was sent and not yet played. Echoes every outstanding mark."""
    return json.dumps({"event": "clear", "streamSid": stream_sid})

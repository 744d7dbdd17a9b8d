"""Media Streams' messages, as reference and captures show them."""

import audioop
import base64
import json

import pytest

from outdial_media import twilio_frames
from outdial_media.twilio_frames import MarkEcho, Sound, StreamStart, StreamStop, read

pytestmark = pytest.mark.unit


def test_start_names_the_stream_the_call_and_the_parameters() -> None:
    text = json.dumps(
        {
            "event": "start",
            "sequenceNumber": "1",
            "streamSid": "MZ1",
            "start": {
                "accountSid": "AC1",
                "streamSid": "MZ1",
                "callSid": "CA1",
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {"lead_id": "l"},
            },
        }
    )
    assert read(text) == StreamStart("MZ1", "CA1", {"lead_id": "l"})


def test_media_is_20_ms_of_pcm() -> None:
    mulaw = bytes(range(160))
    message = {"event": "media", "media": {"payload": base64.b64encode(mulaw).decode()}}
    assert read(json.dumps(message)) == Sound(audioop.ulaw2lin(mulaw, 2))


def test_marks_and_stop() -> None:
    assert read('{"event":"mark","mark":{"name":"m1"}}') == MarkEcho("m1")
    assert read('{"event":"stop","stop":{"callSid":"CA1"}}') == StreamStop()


@pytest.mark.parametrize(
    "text",
    [
        '{"event":"connected","protocol":"Call"}',
        '{"event":"dtmf","dtmf":{"digit":"1"}}',
        '{"event":"media","media":{}}',
        '{"event":"media","media":{"payload":5}}',
        '{"event":"start","start":[]}',
        "[]",
        "5",
        "no json",
        "",
    ],
)
def test_what_says_nothing_to_us_is_nothing(text: str) -> None:
    assert read(text) is None


def test_what_we_send_is_json_in_twilios_shape() -> None:
    pcm = audioop.ulaw2lin(bytes(range(160)), 2)
    sent = json.loads(twilio_frames.media("MZ1", pcm))
    assert sent == {
        "event": "media",
        "streamSid": "MZ1",
        "media": {"payload": base64.b64encode(audioop.lin2ulaw(pcm, 2)).decode()},
    }
    mark = {"event": "mark", "streamSid": "MZ1", "mark": {"name": "x"}}
    assert json.loads(twilio_frames.mark("MZ1", "x")) == mark
    assert json.loads(twilio_frames.clear("MZ1")) == {"event": "clear", "streamSid": "MZ1"}

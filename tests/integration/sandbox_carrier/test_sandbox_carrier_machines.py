"""Machine detection and recordings: what the carrier concludes from audio, and keeps of it."""

import io
import math
import wave
from typing import Any

import httpx
import numpy as np
import pytest
from twilio.base.exceptions import TwilioRestException

from carrier_world import ACCOUNT, ANYONE, TOKEN, Bot, Carrier, Customer, Somebody, noise, tone
from outdial_sandbox.carrier import mulaw
from outdial_sandbox.people.behaviour import Answer

pytestmark = pytest.mark.integration

PAUSE = "<Response><Pause length='60'/></Response>"
GREETING = [(0.3, noise(2.9))]


async def verdict(carrier: Carrier, customer: Customer, **options: Any) -> dict[str, str]:
    """Call with asynchronous detection, and what it said."""
    call = await carrier.call(
        twiml=PAUSE,
        async_amd="true",
        async_amd_status_callback=f"{customer.url}/amd",
        **options,
    )
    asked = await customer.asked("/amd")
    assert asked.signed
    assert asked.form["CallSid"] == call.sid
    fetched = await carrier.sdk(lambda client: client.calls(call.sid).fetch())
    assert fetched.answered_by == asked.form["AnsweredBy"]
    assert set(asked.form) == {
        "CallSid",
        "AccountSid",
        "AnsweredBy",
        "MachineDetectionDuration",
    }
    return asked.form


async def test_a_short_hello_is_a_human(carrier: Carrier, customer: Customer) -> None:
    carrier.people[ANYONE] = Somebody(words=[(0.3, noise(0.6))])
    said = await verdict(carrier, customer, machine_detection="Enable")
    assert said["AnsweredBy"] == "human"
    assert 2000 <= int(said["MachineDetectionDuration"]) <= 2300


async def test_long_speech_is_a_machine(carrier: Carrier, customer: Customer) -> None:
    carrier.people[ANYONE] = Somebody(words=GREETING)
    said = await verdict(carrier, customer, machine_detection="Enable")
    assert said["AnsweredBy"] == "machine_start"


async def test_the_beep_ends_the_message(carrier: Carrier, customer: Customer) -> None:
    carrier.people[ANYONE] = Somebody(words=[*GREETING, (3.6, tone(0.4, 1000))])
    said = await verdict(carrier, customer, machine_detection="DetectMessageEnd")
    assert said["AnsweredBy"] == "machine_end_beep"
    assert 4000 <= int(said["MachineDetectionDuration"]) <= 4200


async def test_a_fax_is_a_fax(carrier: Carrier, customer: Customer) -> None:
    carrier.people[ANYONE] = Somebody(words=[(0.4, tone(3.0, 2100))])
    said = await verdict(carrier, customer, machine_detection="DetectMessageEnd")
    assert said["AnsweredBy"] == "fax"


async def test_a_machine_that_hangs_up_ends_its_message(
    carrier: Carrier, customer: Customer
) -> None:
    carrier.people[ANYONE] = Somebody(words=GREETING, hang_up_at=3.3)
    call = await carrier.call(
        twiml=PAUSE,
        machine_detection="DetectMessageEnd",
        async_amd="true",
        async_amd_status_callback=f"{customer.url}/amd",
        status_callback=f"{customer.url}/status",
    )
    assert (await customer.asked("/amd")).form["AnsweredBy"] == "machine_end_other"
    final = await customer.status("completed")
    assert (final.form["CallSid"], final.form["AnsweredBy"]) == (call.sid, "machine_end_other")


async def test_silence_is_unknown(carrier: Carrier, customer: Customer) -> None:
    said = await verdict(
        carrier, customer, machine_detection="Enable", machine_detection_silence_timeout=2000
    )
    assert (said["AnsweredBy"], said["MachineDetectionDuration"]) == ("unknown", "2000")


async def test_synchronous_detection_holds_the_document_back(
    carrier: Carrier, customer: Customer
) -> None:
    carrier.people[ANYONE] = Somebody(words=[(0.1, noise(0.4))])
    customer.says("/voice", "<Response/>")
    await carrier.call(
        url=f"{customer.url}/voice",
        machine_detection="Enable",
        status_callback=f"{customer.url}/status",
    )
    asked = await customer.asked("/voice")
    assert asked.form["AnsweredBy"] == "human"
    assert (await customer.status("completed")).form["AnsweredBy"] == "human"


async def fetch(url: str, auth: tuple[str, str] | None = (ACCOUNT, TOKEN)) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.get(url, auth=auth)


async def test_a_call_is_recorded_in_two_channels(
    carrier: Carrier, customer: Customer, bot: Bot
) -> None:
    carrier.people[ANYONE] = Somebody(words=[(0.2, tone(0.5, 500))], hang_up_at=2.0)
    twiml = f"<Response><Connect><Stream url='{bot.url}'/></Connect></Response>"
    call = await carrier.call(
        twiml=twiml,
        record=True,
        recording_channels="dual",
        recording_status_callback=f"{customer.url}/recording",
        recording_status_callback_event=["in-progress", "completed"],
        status_callback=f"{customer.url}/status",
    )
    await (await bot.socket()).play(mulaw.encode(tone(0.5, 1000)))
    assert (await customer.asked("/recording")).form["RecordingStatus"] == "in-progress"
    told = (await customer.asked("/recording", 2)).form
    assert told["RecordingStatus"] == "completed"
    assert (told["RecordingChannels"], told["RecordingSource"]) == ("2", "OutboundAPI")
    assert told["RecordingDuration"] == "2"
    final = (await customer.status("completed")).form
    assert final["RecordingSid"] == told["RecordingSid"]
    assert final["RecordingUrl"] == told["RecordingUrl"]

    entry = await carrier.over(call.sid)
    assert entry["recording"] == f"{call.sid}.wav"
    file = carrier.data / "recordings" / entry["recording"]
    served = await fetch(told["RecordingUrl"] + ".wav")
    assert served.content == file.read_bytes()
    with wave.open(io.BytesIO(served.content)) as opened:
        assert opened.getparams()[:3] == (2, 2, 8000)
        samples = np.frombuffer(opened.readframes(opened.getnframes()), "<i2").reshape(-1, 2)
    assert loudest(samples[:, 0]) == 500  # the person called
    assert loudest(samples[:, 1]) == 1000  # the bot
    assert (await fetch(told["RecordingUrl"], auth=None)).status_code == 401
    assert (await fetch(told["RecordingUrl"] + ".mp3")).status_code == 404

    sid = told["RecordingSid"]
    fetched = await carrier.sdk(lambda client: client.recordings(sid).fetch())
    assert (fetched.status, fetched.channels, fetched.call_sid) == ("completed", 2, call.sid)
    listed = await carrier.sdk(lambda client: client.recordings.list(call_sid=call.sid))
    assert [item.sid for item in listed] == [sid]
    assert await carrier.sdk(lambda client: client.recordings(sid).delete())
    assert not file.exists()


def loudest(samples: np.ndarray) -> int:
    power = np.abs(np.fft.rfft(samples.astype(float)))
    return round(float(np.argmax(power)) * 8000 / len(samples))


async def test_a_recording_can_be_started_on_a_live_call(carrier: Carrier, bot: Bot) -> None:
    twiml = f"<Response><Connect><Stream url='{bot.url}'/></Connect></Response>"
    call = await carrier.call(twiml=twiml)
    socket = await bot.socket()
    started = await carrier.sdk(lambda client: client.calls(call.sid).recordings.create())
    assert (started.status, started.source) == ("in-progress", "StartCallRecordingAPI")
    await socket.event("media", len(socket.seen.items) + 10)
    await carrier.sdk(lambda client: client.calls(call.sid).update(status="completed"))
    mono = await fetch(f"{carrier.url}/2010-04-01/Accounts/{ACCOUNT}/Recordings/{started.sid}")
    with wave.open(io.BytesIO(mono.content)) as opened:
        assert (opened.getnchannels(), opened.getframerate()) == (1, 8000)
        assert opened.getnframes() >= 1600


async def test_a_call_that_is_not_in_progress_cannot_be_recorded(carrier: Carrier) -> None:
    carrier.people[ANYONE] = Somebody(Answer("no_answer", math.inf))
    call = await carrier.call(twiml=PAUSE)
    with pytest.raises(TwilioRestException) as caught:
        await carrier.sdk(lambda client: client.calls(call.sid).recordings.create())
    assert caught.value.code == 21220

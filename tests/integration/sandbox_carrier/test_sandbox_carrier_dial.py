"""`<Dial>`: somebody else is called, and the two hear each other."""

import numpy as np
import pytest

from carrier_world import ANYONE, CALLER, Carrier, Customer, Somebody, tone
from outdial_sandbox.people.behaviour import Answer, Frame

pytestmark = pytest.mark.integration

COLLEAGUE = "+12125550127"
SAYS = [(0.5, tone(0.6, 500))]


def twiml(customer: Customer, *, more: str = "", after: str = "", url: str = "") -> str:
    noun = f"<Number {url}>{COLLEAGUE}</Number>"
    action = f"action='{customer.url}/ended'"
    return f"<Response><Dial {action} {more}>{noun}</Dial>{after}</Response>"


def loud_seconds(heard: list[Frame]) -> float:
    return sum(0.02 for frame in heard if np.abs(frame.astype(np.int32)).mean() > 500)


async def test_the_two_hear_each_other_until_one_hangs_up(
    carrier: Carrier, customer: Customer
) -> None:
    person = carrier.people[ANYONE] = Somebody(words=[(0.5, tone(0.8, 300))])
    colleague = Somebody(words=SAYS, hang_up_at=2.0, key="colleague")
    carrier.people[COLLEAGUE] = colleague
    customer.says("/ended", "<Response><Hangup/></Response>")
    more = "callerId='+12125550190' timeout='10'"
    call = await carrier.call(twiml=twiml(customer, more=more))
    ended = await customer.asked("/ended")
    entry = await carrier.over(call.sid)

    assert ended.signed
    assert ended.form["CallStatus"] == "in-progress"
    assert ended.form["DialCallStatus"] == "completed"
    assert ended.form["DialBridged"] == "true"
    assert int(ended.form["DialCallDuration"]) >= 1
    assert loud_seconds(person.behaviours[0].heard) == pytest.approx(0.6, abs=0.1)
    assert loud_seconds(colleague.behaviours[0].heard) == pytest.approx(0.8, abs=0.3)
    (leg,) = entry["legs"]
    assert (leg["to"], leg["caller"], leg["person"]) == (COLLEAGUE, "+12125550190", "colleague")
    assert leg["heard_seconds"] > 0.4
    assert entry["bot_speech"] == [], "a colleague is not the bot"
    assert entry["ended_by"] == "caller"


async def test_a_whisper_is_heard_by_the_one_who_is_dialed_alone(
    carrier: Carrier, customer: Customer
) -> None:
    person = carrier.people[ANYONE] = Somebody()
    colleague = carrier.people[COLLEAGUE] = Somebody(hang_up_at=3.0)
    customer.says("/whisper", "<Response><Say>A person from the list.</Say></Response>")
    customer.says("/ended", "<Response/>")
    call = await carrier.call(twiml=twiml(customer, url=f"url='{customer.url}/whisper'"))
    asked = await customer.asked("/whisper")
    entry = await carrier.over(call.sid)

    assert asked.form["CallSid"] == entry["legs"][0]["sid"]
    assert loud_seconds(colleague.behaviours[0].heard) > 0.5
    assert loud_seconds(person.behaviours[0].heard) == 0
    assert entry["legs"][0]["whispered"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer("busy", 0.5, sip_code=486), "busy"),
        (Answer("rejected", 0.5, sip_code=603), "busy"),
        (Answer("failed", 0.5, sip_code=404), "failed"),
        (Answer("no_answer", float("inf"), sip_code=487), "no-answer"),
    ],
)
async def test_nobody_comes_and_the_call_goes_on_with_the_answer_to_action(
    carrier: Carrier, customer: Customer, answer: Answer, status: str
) -> None:
    carrier.people[ANYONE] = Somebody()
    carrier.people[COLLEAGUE] = Somebody(answer=answer)
    customer.says("/ended", "<Response><Say>Nobody is here.</Say></Response>")
    call = await carrier.call(twiml=twiml(customer, more="timeout='1'"))
    ended = await customer.asked("/ended")
    entry = await carrier.over(call.sid)

    assert (ended.form["DialCallStatus"], ended.form["DialBridged"]) == (status, "false")
    assert "DialCallDuration" not in ended.form
    assert entry["bot_speech"], "what the answer says is heard"
    assert entry["legs"][0]["caller"] == CALLER


async def test_the_person_hangs_up_first_and_action_is_told(
    carrier: Carrier, customer: Customer
) -> None:
    carrier.people[ANYONE] = Somebody(hang_up_at=1.5)
    carrier.people[COLLEAGUE] = Somebody()
    call = await carrier.call(twiml=twiml(customer))
    ended = await customer.asked("/ended")
    entry = await carrier.over(call.sid)

    assert (ended.form["CallStatus"], ended.form["DialCallStatus"]) == ("completed", "completed")
    assert entry["ended_by"] == "person"


async def test_without_action_the_next_verb_comes(carrier: Carrier, customer: Customer) -> None:
    carrier.people[COLLEAGUE] = Somebody(hang_up_at=0.5)
    document = f"<Response><Dial>{COLLEAGUE}</Dial><Say>Back again.</Say></Response>"
    call = await carrier.call(twiml=document)
    entry = await carrier.over(call.sid)
    assert entry["legs"][0]["status"] == "completed"
    assert entry["bot_speech"]


@pytest.mark.parametrize("noun", ["<Conference>x</Conference>", "<Number>12</Number>", "abc"])
async def test_what_cannot_be_dialed_is_an_error(
    carrier: Carrier, customer: Customer, noun: str
) -> None:
    carrier.without_sound()
    call = await carrier.call(twiml=f"<Response><Dial>{noun}</Dial></Response>")
    entry = await carrier.over(call.sid)
    assert entry["problems"][0]["code"] in (12200, 13224)


async def test_calls_without_sound_are_put_through_too(
    carrier: Carrier, customer: Customer
) -> None:
    carrier.change(audio=False, talk_seconds=[5, 5])
    customer.says("/ended", "<Response><Hangup/></Response>")
    carrier.people[COLLEAGUE] = Somebody()
    call = await carrier.call(twiml=twiml(customer))
    assert (await customer.asked("/ended")).form["DialCallStatus"] == "completed"
    await carrier.over(call.sid)

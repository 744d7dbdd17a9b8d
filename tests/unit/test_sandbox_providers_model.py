"""The scripted model: what it does with messages and tools, and with nothing else."""

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from outdial_sandbox.people.phrases import all_phrases
from outdial_sandbox.providers.chat_history import read_history
from outdial_sandbox.providers.scripted_model import Reply, reply_to
from outdial_sandbox.providers.scripts import load_scripts
from outdial_sandbox.providers.tool_arguments import complete

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
GOODBYE = {"type": "object", "properties": {"goodbye": {"type": "string"}}}
APPOINTMENT = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["confirmed", "declined", "reschedule"]},
        "note": {"type": "string", "maxLength": 300},
    },
    "required": ["status"],
    "additionalProperties": False,
}
ORDER = {
    "type": "object",
    "properties": {
        "order_received": {"type": "boolean"},
        "satisfied": {"type": "string", "enum": ["yes", "no", "partly"]},
        "comment": {"type": "string", "maxLength": 300},
    },
    "required": ["order_received", "satisfied"],
    "additionalProperties": False,
}
LATER = {
    "type": "object",
    "properties": {"at": {"type": "string"}, "in_minutes": {"type": "number"}},
}
HUNG_UP = (
    "The person has hung up: nothing that you write is heard any more. Call the tools for what "
    "still has to be done."
)


def tools(outcome: dict[str, Any] | None, *names: str) -> list[dict[str, Any]]:
    """The built-in tools, or those named."""
    schemas: dict[str, dict[str, Any]] = {
        "end_call": GOODBYE,
        "opt_out": GOODBYE,
        "wrong_person": GOODBYE,
        "voicemail_reached": {"type": "object", "properties": {}},
        "schedule_callback": LATER,
    }
    if outcome is not None:
        schemas["record_outcome"] = outcome
    return [
        {"type": "function", "function": {"name": name, "parameters": schema}}
        for name, schema in schemas.items()
        if not names or name in names
    ]


class Call:
    """A conversation as an application would hold it."""

    def __init__(self, prompt: str, offered: list[dict[str, Any]], **request: Any) -> None:
        self.messages: list[dict[str, Any]] = [{"role": "system", "content": prompt}]
        self.request = {"model": "m", "tools": offered, **request}

    def reply(self) -> Reply:
        return reply_to(read_history({**self.request, "messages": self.messages}), NOW)

    def hear(self, text: str, result: object = None) -> list[Reply]:
        """The person says something; tools answer until the model is done."""
        self.messages.append({"role": "user", "content": text})
        replies: list[Reply] = []
        while len(replies) < 5:
            replies.append(self.reply())
            self._keep(replies[-1], {} if result is None else result)
            if not replies[-1].calls or replies[-1].calls[0].name == "end_call":
                return replies
        raise AssertionError(f"the model does not come to an end: {replies}")

    def _keep(self, reply: Reply, result: object) -> None:
        message: dict[str, Any] = {"role": "assistant", "content": reply.say}
        calls = [
            {
                "id": f"{len(self.messages)}-{index}",
                "type": "function",
                "function": {"name": c.name, "arguments": json.dumps(c.arguments)},
            }
            for index, c in enumerate(reply.calls)
        ]
        if calls:
            message["tool_calls"] = calls
        self.messages.append(message)
        self.messages += [
            {"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)}
            for call in calls
        ]


def called(replies: list[Reply]) -> list[tuple[str, dict[str, Any]]]:
    return [(call.name, dict(call.arguments)) for reply in replies for call in reply.calls]


def appointment() -> Call:
    call = Call("You are Ada. Find out about the appointment on Tuesday.", tools(APPOINTMENT))
    call.messages.append({"role": "assistant", "content": "Hello, this is Ada. Can you make it?"})
    return call


def order() -> Call:
    call = Call("You are Amelia. Maria ordered a lamp. The order ...", tools(ORDER))
    call.messages.append({"role": "assistant", "content": "Has your order arrived?"})
    return call


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Yes, that is right.", "confirmed"),
        ("Yes.", "confirmed"),
        ("Okay.", "confirmed"),
        ("I know all about it, yes that is fine.", "confirmed"),
        ("Let me think about it. Yes, I can confirm that.", "confirmed"),
        ("No, I am afraid not.", "declined"),
        ("No, unfortunately not.", "declined"),
    ],
)
def test_an_appointment_is_recorded_then_goodbye(text: str, status: str) -> None:
    replies = appointment().hear(text)
    (tool, arguments), (end, _) = called(replies)
    assert (tool, arguments["status"], end) == ("record_outcome", status, "end_call")
    assert replies[0].say == ""
    assert "Goodbye" in replies[1].say
    jsonschema.validate(arguments, APPOINTMENT)


def test_an_order_takes_two_answers() -> None:
    call = order()
    (first,) = call.hear("Yes.")
    assert "happy" in first.say
    assert not first.calls
    (tool, arguments), _ = called(call.hear("Yes."))
    assert (tool, arguments["order_received"], arguments["satisfied"]) == (
        "record_outcome",
        True,
        "yes",
    )
    jsonschema.validate(arguments, ORDER)


def test_an_order_that_did_not_come() -> None:
    (_, arguments), _ = called(order().hear("No, I am afraid not."))
    assert (arguments["order_received"], arguments["satisfied"]) == (False, "no")


def test_an_order_that_came_and_disappoints() -> None:
    call = order()
    call.hear("Yes, that is right.")
    (_, arguments), _ = called(call.hear("No, not at all."))
    assert (arguments["order_received"], arguments["satisfied"]) == (True, "no")


@pytest.mark.parametrize(
    ("text", "tool"),
    [
        ("Stop calling me.", "opt_out"),
        ("Please take me off your list.", "opt_out"),
        ("You have the wrong number.", "wrong_person"),
        ("You have reached the voicemail of this number.", "voicemail_reached"),
        ("There is no room for more messages.", "voicemail_reached"),
    ],
)
def test_tools_that_end_the_call_are_called_once(text: str, tool: str) -> None:
    replies = appointment().hear(text)
    assert [name for name, _ in called(replies)] == [tool]
    assert all(reply.say == "" for reply in replies), "the goodbye goes with the tool"


def test_tomorrow_is_a_day_from_now() -> None:
    (name, arguments), (end, _) = called(appointment().hear("Please call me tomorrow."))
    assert (name, arguments, end) == ("schedule_callback", {"in_minutes": 1440}, "end_call")


def test_tomorrow_as_a_date_when_the_tool_wants_one() -> None:
    only_at = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}
    offered = [{"function": {"name": "schedule_callback", "parameters": only_at}}]
    replies = Call("You are Ada.", offered).hear("Can you call me tomorrow instead?")
    assert called(replies) == [("schedule_callback", {"at": "2026-03-03T09:00+00:00"})]


def test_hello_is_answered_with_the_opening() -> None:
    prompt = "You are Ada.\n\nYou opened the call by saying: 'Hi Bo, it is Ada.'. If the person"
    (reply,) = Call(prompt, tools(APPOINTMENT)).hear("Hello?")
    assert reply.say == "Hi Bo, it is Ada."
    (reply,) = Call("You are Ada. An appointment.", tools(APPOINTMENT)).hear("Hello?")
    assert "this is Ada" in reply.say
    assert "Can you make it" in reply.say


def test_what_is_not_understood_is_asked_twice_then_given_up() -> None:
    call = appointment()
    replies = [call.hear("fried rice")[-1] for _ in range(3)]
    assert [bool(reply.calls) for reply in replies] == [False, False, True]


def test_a_human_is_asked_for() -> None:
    with_transfer = Call(
        "You are Ada.", [{"function": {"name": "transfer_to_human", "parameters": {}}}]
    )
    assert called(with_transfer.hear("I want to talk to a real person."))[0][0] == (
        "transfer_to_human"
    )
    (reply,) = appointment().hear("I want to talk to a real person.")
    assert "colleague" in reply.say


@pytest.mark.parametrize("place", ["system", "last"])
def test_the_closing_pass_calls_tools_without_a_word(place: str) -> None:
    call = Call("You are Ada. An appointment.", tools(APPOINTMENT))
    if place == "system":
        call.messages[0]["content"] += "\n\n" + HUNG_UP
        call.messages.append({"role": "user", "content": "Stop calling me."})
    else:
        call.messages.append({"role": "user", "content": "Stop calling me."})
        call.messages.append({"role": "user", "content": HUNG_UP})
    reply = call.reply()
    assert reply.say == ""
    assert [c.name for c in reply.calls] == ["opt_out"]


def test_the_closing_pass_leaves_alone_what_was_done() -> None:
    call = appointment()
    call.hear("Yes, that is right.")
    call.messages[0]["content"] += "\n\n" + HUNG_UP
    assert call.reply() == Reply()


def test_the_closing_pass_has_nothing_to_do_after_small_talk() -> None:
    call = appointment()
    call.hear("Could you say that again?")
    call.messages[0]["content"] += "\n\n" + HUNG_UP
    assert call.reply() == Reply()


def test_a_changed_mind_is_recorded_again() -> None:
    call = appointment()
    call.hear("Yes, that is right.")
    assert called(call.hear("No, not really."))[0][1]["status"] == "declined"


def test_a_refused_outcome_is_tried_once_more_and_then_left() -> None:
    replies = appointment().hear("Yes.", result={"error": "status: not one of ..."})
    assert [name for name, _ in called(replies)] == ["record_outcome", "record_outcome", "end_call"]


def test_a_tool_that_has_not_answered_is_waited_for() -> None:
    call = appointment()
    call.hear("Yes.")
    for message in call.messages:
        if message["role"] == "tool":
            message["content"] = "IN_PROGRESS"
    assert call.reply() == Reply()


def test_what_was_said_is_said_again_as_often_as_it_is_asked_for() -> None:
    call = appointment()
    before = call.messages[-1]["content"]
    for _ in range(2):
        (reply,) = call.hear("Sorry, what did you say?")
        assert (reply.say, reply.calls) == (f"Of course. {before}", ())
    assert called(call.hear("Yes, that is right."))[0][0] == "record_outcome"


def test_before_anything_was_said_it_opens_the_call() -> None:
    (reply,) = Call("You are Ada.", []).hear("Can you repeat that please?")
    assert "this is Ada" in reply.say


def test_what_was_not_recognised_is_asked_for_again() -> None:
    call = appointment()
    call.hear("Could you say that again?")
    asked = "The person said something that could not be understood. Ask them to say it again."
    call.messages.append({"role": "developer", "content": asked})
    reply = call.reply()
    assert reply.say == "I am sorry, I did not hear you well. Can you make it to your appointment?"
    call.messages.append({"role": "assistant", "content": reply.say})
    assert called(call.hear("Yes."))[0][0] == "record_outcome"


def test_a_resumed_call_does_not_call_its_tools_again() -> None:
    call = appointment()
    earlier = [{"tool": "record_outcome", "arguments": {"status": "confirmed"}, "result": {}}]
    told = f"Tools that were called so far; do not call them again: {json.dumps(earlier)}"
    call.messages.append({"role": "system", "content": told})
    replies = call.hear("Yes, that is right.")
    assert [name for name, _ in called(replies)] == ["end_call"]
    assert "Goodbye" in replies[0].say


def test_without_tools_it_only_talks() -> None:
    call = Call("You are a friendly bot.", [])
    # To a machine it has nothing to say: there is no tool to tell anyone.
    people = [phrase for phrase in all_phrases() if phrase.intent != "machine"]
    replies = [call.hear(phrase.text)[-1] for phrase in people]
    assert not any(reply.calls for reply in replies)
    assert all(reply.say for reply in replies)


def test_it_opens_the_call_when_nothing_was_said() -> None:
    assert "this is Ada" in Call("You are Ada.", []).reply().say


def test_tool_choice_is_obeyed() -> None:
    none = Call("You are Ada. An appointment.", tools(APPOINTMENT), tool_choice="none")
    assert not none.hear("Yes.")[0].calls
    required = Call("You are Ada.", tools(APPOINTMENT), tool_choice="required")
    required.messages.append({"role": "user", "content": "Could you say that again?"})
    assert required.reply().calls


def test_content_may_come_in_parts() -> None:
    call = appointment()
    call.messages.append(
        {"role": "user", "content": [{"type": "text", "text": "Stop calling"}, {"text": "me."}]}
    )
    assert call.reply().calls[0].name == "opt_out"


@pytest.mark.parametrize(
    "outcome",
    [
        {
            "type": "object",
            "properties": {
                "interested": {"type": "boolean"},
                "answer": {"enum": ["not_reached", "accepted", "declined"]},
                "seats": {"type": "integer", "minimum": 2},
                "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                "who": {
                    "type": "object",
                    "properties": {"name": {"type": "string", "maxLength": 4}},
                    "required": ["name"],
                },
            },
            "required": ["interested", "answer", "seats", "tags", "who"],
            "additionalProperties": False,
        },
        {"type": "object", "properties": {"ok": {"type": "boolean"}}},
        {"type": "object"},
    ],
)
@pytest.mark.parametrize(("text", "yes"), [("Yes.", True), ("No, I am afraid not.", False)])
def test_any_outcome_schema_is_met(outcome: dict[str, Any], text: str, yes: bool) -> None:
    call = Call("You are Bo. Sell tickets.", tools(outcome))
    (name, arguments), _ = called(call.hear(text))
    assert name == "record_outcome"
    jsonschema.validate(arguments, outcome)
    if "interested" in arguments:
        assert arguments["interested"] is yes
        assert arguments["answer"] == ("accepted" if yes else "declined")


def test_constants_and_defaults_are_kept() -> None:
    schema = {
        "properties": {"kind": {"const": "call"}, "level": {"default": 3, "type": "integer"}},
        "required": ["kind", "level"],
    }
    assert complete({}, schema, "", positive=True) == {"kind": "call", "level": 3}


def test_every_phrase_of_the_people_means_something() -> None:
    unclear = []
    for phrase in all_phrases():
        request = {"messages": [{"role": "user", "content": phrase.text}]}
        intent = read_history(request).intent
        expected = {phrase.intent, "agree"} if phrase.intent == "confirm" else {phrase.intent}
        expected |= {"screening_hold"} if phrase.intent == "screening" else set()
        if intent not in expected:
            unclear.append((phrase.text, phrase.intent, intent))
    assert not unclear


def test_every_script_can_be_read() -> None:
    assert [script.name for script in load_scripts()][-1] == "any"
    assert all(script.rules for script in load_scripts())


def test_the_model_never_answers_twice_differently() -> None:
    one, two = appointment(), appointment()
    assert one.hear("Yes, everything is fine.") == two.hear("Yes, everything is fine.")

"""How a conversation goes on that had begun before: after a lost stream, after a dial in vain."""

from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

import pytest

from outdial.domain.call_template import Agent, CallTemplate, Transfer
from outdial.domain.phrases import phrases_for
from outdial.operations.conversation_record import (
    ConversationBrief,
    EarlierToolCall,
    SpokenTurn,
)
from outdial_media.opening import Opening

pytestmark = pytest.mark.unit

PHRASES = phrases_for("en")


@dataclass
class Line:
    """Stands for voice, pipeline and context: what was said, and what the model was told."""

    did: list[str] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)

    @property
    def context(self) -> "Line":
        return self

    def add_messages(self, messages: list[Any]) -> None:
        self.messages += messages

    async def say(self, text: str) -> None:
        self.did.append(text)

    async def let_model_speak(self) -> None:
        self.did.append("(the model)")


def brief(last: str, *, nobody_came: bool, fallback: str = "") -> ConversationBrief:
    transfer = Transfer("+12125550127", fallback=fallback)
    called = EarlierToolCall("transfer_to_human", {}, {"error": "nobody took the call (busy)"})
    return ConversationBrief(
        UUID(int=1),
        2,
        "+12125550100",
        CallTemplate("x", Agent("Ada", "Hello.", "Ask."), transfer=transfer),
        {"name": "Bo"},
        history=(SpokenTurn("person", "A human, please."), SpokenTurn(last, "Yes?")),
        tool_history=(called,) if nobody_came else (),
        nobody_came=nobody_came,
    )


async def speak(given: ConversationBrief) -> Line:
    line = Line()
    stand_in = cast("Any", line)
    await Opening(stand_in, given, stand_in, stand_in).speak()
    return line


@pytest.mark.parametrize(
    ("last", "nobody_came", "fallback", "said"),
    [
        ("agent", False, "", [PHRASES.resumed]),
        ("person", False, "", [PHRASES.resumed, "(the model)"]),  # an answer is owed
        ("agent", True, "", [PHRASES.nobody_came]),
        ("person", True, "", [PHRASES.nobody_came]),  # what they asked for was tried
        ("agent", True, "All talking, {{name}}.", ["All talking, Bo."]),
        ("agent", False, "All talking, {{name}}.", [PHRASES.resumed]),
    ],
    ids=["lost", "lost-owing", "in-vain", "in-vain-person-last", "own-words", "lost-own-words"],
)
async def test_it_says_why_it_was_away(
    last: str, nobody_came: bool, fallback: str, said: list[str]
) -> None:
    line = await speak(brief(last, nobody_came=nobody_came, fallback=fallback))
    assert line.did == said


async def test_the_model_knows_that_nobody_took_the_call() -> None:
    line = await speak(brief("agent", nobody_came=True))
    assert "nobody took the call (busy)" in line.messages[-1]["content"]

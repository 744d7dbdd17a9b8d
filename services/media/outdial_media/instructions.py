"""What the model is told beside the template's prompt, and of what was said on earlier streams."""

import json
from typing import Any, cast

from pipecat.processors.aggregators.llm_context import LLMContextMessage

from outdial.domain.phrases import phrases_for
from outdial.operations.conversation_record import ConversationBrief


def system_instruction(brief: ConversationBrief, local_time: str) -> str:
    """The template's prompt, how the call opened, and what time it is for the person."""
    parts = [brief.prompt.strip()]
    if brief.template.agent.first_turn == "agent":
        parts.append(
            f"You opened the call by saying: {brief.greeting!r}. If the person talked over it and "
            "cannot know who is calling, say it again in other words."
        )
    parts.append(f"It is {local_time} where the person is.")
    language = phrases_for(brief.template.language).name
    if language != "English":
        parts.append(f"Speak {language} ({brief.template.language}).")
    return "\n\n".join(parts)


def earlier_messages(brief: ConversationBrief) -> list[LLMContextMessage]:
    """The conversation until its stream was lost, for the model to go on from."""
    messages: list[dict[str, Any]] = [
        {"role": "assistant" if turn.role == "agent" else "user", "content": turn.text}
        for turn in brief.history
    ]
    calls = [
        {
            "tool": call.name,
            "arguments": dict(call.arguments),
            "result": dict(call.result) if call.result is not None else "outcome unknown",
        }
        for call in brief.tool_history
    ]
    if calls:
        text = "Tools that were called so far; do not call them again: "
        messages.append({"role": "system", "content": text + json.dumps(calls)})
    return cast("list[LLMContextMessage]", messages)

"""After a hang-up: the model runs once more, without a voice, so that the last words are acted on.

Somebody says "stop calling me" and hangs up: nothing can be answered any more, but it was said.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema

from outdial.operations.hear_last_words import HUNG_UP, NOT_WITHOUT_A_VOICE
from outdial_media.model_route import ModelRoute, NoModelAnswers
from outdial_media.tools import Tools

_log = structlog.get_logger(__name__)

_ROUNDS = 4


async def closing_pass(
    route: ModelRoute,
    system_instruction: str,
    messages: Sequence[Mapping[str, Any]],
    tools: Tools,
    seconds: float,
) -> None:
    """Let the model call tools on a finished conversation; `seconds` at most, never raising."""
    try:
        async with asyncio.timeout(seconds):
            await _run(route, system_instruction + HUNG_UP, list(messages), tools)
    except (NoModelAnswers, TimeoutError) as error:
        _log.warning("closing_pass_failed", error=str(error) or type(error).__name__)


async def _run(route: ModelRoute, system: str, messages: list[Any], tools: Tools) -> None:
    offered = [_as_openai(s) for s in tools.schemas if s.name not in NOT_WITHOUT_A_VOICE]
    for _ in range(_ROUNDS):
        answer = await route.create(
            messages=[{"role": "system", "content": system}, *messages], tools=offered
        )
        said = answer.choices[0].message
        if not said.tool_calls:
            return
        messages.append(said.model_dump(exclude_none=True))
        messages += [await _answer(call, tools) for call in said.tool_calls]


async def _answer(call: Any, tools: Tools) -> dict[str, Any]:
    name = call.function.name
    try:
        if name in NOT_WITHOUT_A_VOICE:  # some models call what they were not offered
            raise ValueError(name)
        arguments = json.loads(call.function.arguments or "{}")
        result = dict((await tools.run(name, arguments, call.id)).answer)
    except (ValueError, TypeError):
        result = {"error": f"{name} cannot be called like this now"}
    return {"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)}


def _as_openai(schema: FunctionSchema) -> dict[str, Any]:
    return {"type": "function", "function": schema.to_default_dict()}

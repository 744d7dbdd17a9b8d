"""A pod died with the person's last words unanswered: have the model act on them (PROTOCOL.md 5).

"Stop calling me", said to a pod that is then killed, must opt out all the same. The saved
transcript is what is left: the model reads it once, with its tools and without a voice, before the
attempt ends and its lead could be called again. What fails here is let go: nobody is waiting.
"""

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import structlog

from outdial.observability import traces
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.conversation_record import (
    ConversationBrief,
    begin_tool_call,
    finish_tool_call,
    open_conversation,
    record_milestone,
)
from outdial.operations.model_addresses import ModelThere, models_without_pipecat
from outdial.operations.runtime import Runtime
from outdial.operations.suppress_number import suppress
from outdial.operations.tool_arguments import (
    SUPPORTED,
    ToolDefinition,
    arguments_problem,
    callback_time,
    tool_definitions,
    zone_of,
)
from outdial.storage import attempts, transcripts
from outdial.storage.tables import ToolCall, TranscriptTurn

_log = structlog.get_logger(__name__)

HUNG_UP = (
    "\n\nThe person has hung up: nothing that you write is heard any more. Call the tools for "
    "what still has to be done or recorded because of what they said, and only those."
)
NOT_WITHOUT_A_VOICE = frozenset({"end_call", "transfer_to_human", "send_digits"})

_ROUNDS = 4
_OURS = "last-words"  # call ids of this pass begin so
_ERRORS = (httpx.HTTPError, TimeoutError, ValueError, KeyError, IndexError, TypeError)


@dataclass(frozen=True)
class _Unheard:
    """A conversation that broke off after the person spoke."""

    brief: ConversationBrief
    messages: list[dict[str, Any]]
    tools: list[ToolDefinition]
    models: list[ModelThere]  # the one that answered last stands first


async def hear_last_words(runtime: Runtime, attempt_id: uuid.UUID) -> int:
    """Let the model call tools on what nobody answered; how many it called. Once an attempt."""
    try:
        unheard = await _read(runtime, attempt_id)
        if unheard is None:
            return 0
        async with asyncio.timeout(runtime.settings.closing_pass_seconds):
            return await _run(runtime, unheard)
    except (*_ERRORS, *STORE_ERRORS) as error:
        reason = f"{type(error).__name__}: {error}"[:300]
        _log.warning("last_words_not_heard", attempt_id=str(attempt_id), reason=reason)
        return 0


async def _read(runtime: Runtime, attempt_id: uuid.UUID) -> _Unheard | None:
    async with runtime.sessions() as session:
        attempt = await attempts.get(session, attempt_id)
        turns = await transcripts.conversation_of(session, attempt_id)
        calls = await transcripts.tool_calls_of(session, attempt_id)
    if attempt is None or not _is_owed(turns, calls):
        return None
    brief = await open_conversation(runtime, attempt_id, attempt.stream_no)
    if brief is None:  # somebody had decided already that nothing more is to be said
        return None
    run_here = SUPPORTED - NOT_WITHOUT_A_VOICE  # tools of the template's own run in a call only
    tools = [tool for tool in tool_definitions(brief.template) if tool.name in run_here]
    models = models_without_pipecat(brief.template.voice, runtime.settings)
    if not tools or not models:
        return None
    return _Unheard(brief, _messages(brief, turns, calls), tools, models)


def _is_owed(turns: Sequence[TranscriptTurn], calls: Sequence[ToolCall]) -> bool:
    """The person spoke last, and this pass has not been run before."""
    if not turns or turns[-1].role != "person":
        return False
    return not any(call.call_id.startswith(_OURS) for call in calls)


def _messages(
    brief: ConversationBrief, turns: Sequence[TranscriptTurn], calls: Sequence[ToolCall]
) -> list[dict[str, Any]]:
    said = [
        {"role": "assistant" if turn.role == "agent" else "user", "content": turn.text}
        for turn in turns
    ]
    local = datetime.now(zone_of(brief.timezone)).strftime("%A, %Y-%m-%d %H:%M")
    prompt = f"{brief.prompt.strip()}\n\nIt is {local} where the person is.{HUNG_UP}"
    system = [{"role": "system", "content": prompt}]
    if calls:
        known = [
            {"tool": call.name, "arguments": call.arguments, "result": call.result or "unknown"}
            for call in calls
        ]
        text = f"Tools called so far; do not call them again: {json.dumps(known)}"
        system.append({"role": "system", "content": text})
    return [*system, *said]


@traces.traced("closing_pass")
async def _run(runtime: Runtime, unheard: _Unheard) -> int:
    traces.about_attempt(unheard.brief.attempt_id, unheard.brief.lead_id)
    called = 0
    messages = list(unheard.messages)
    # Each model is left its part of the time: a first one that hangs must not use up all of it.
    seconds = runtime.settings.closing_pass_seconds / len(unheard.models)
    async with httpx.AsyncClient(trust_env=False, timeout=seconds) as client:
        for _ in range(_ROUNDS):
            said = await _ask(client, unheard, messages)
            wanted = said.get("tool_calls") or []
            if not wanted:
                break
            messages.append(said)
            for call in wanted:
                called += 1
                answer = await _call_tool(runtime, unheard, call["function"], called)
                messages.append(
                    {"role": "tool", "tool_call_id": call["id"], "content": json.dumps(answer)}
                )
    _log.info("last_words_heard", attempt_id=str(unheard.brief.attempt_id), tools=called)
    return called


async def _ask(
    client: httpx.AsyncClient, unheard: _Unheard, messages: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The answer of the first model that gives one; the errors of the last if none does."""
    failed: Exception = ValueError("there is no model to ask")
    for there in list(unheard.models):
        try:
            return await _ask_one(client, there, unheard, messages)
        except _ERRORS as error:
            host = httpx.URL(there.address.url).host
            _log.warning("model_does_not_answer", model=there.model, at=host, error=repr(error))
            failed = error
            unheard.models.append(unheard.models.pop(0))
    raise failed


async def _ask_one(
    client: httpx.AsyncClient,
    there: ModelThere,
    unheard: _Unheard,
    messages: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    answer = await client.post(
        f"{there.address.url}/chat/completions",
        headers={"Authorization": f"Bearer {there.address.key}"} if there.address.key else {},
        json={
            "model": there.model,
            "messages": list(messages),
            "tools": [_as_function(tool) for tool in unheard.tools],
        },
    )
    answer.raise_for_status()
    said: dict[str, Any] = answer.json()["choices"][0]["message"]
    return said


def _as_function(tool: ToolDefinition) -> dict[str, Any]:
    parameters = {"type": "object", "properties": tool.properties, "required": tool.required}
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": parameters,
        },
    }


async def _call_tool(
    runtime: Runtime, unheard: _Unheard, function: Mapping[str, Any], number: int
) -> dict[str, Any]:
    """Write the call, do it, tell of it; what is wrong with it is an answer."""
    brief, name = unheard.brief, str(function["name"])
    arguments = json.loads(function.get("arguments") or "{}")
    if name not in {tool.name for tool in unheard.tools} or not isinstance(arguments, dict):
        return {"error": f"there is no tool {name!r} that takes this"}
    call_id = f"{_OURS}-{number}"
    if not await begin_tool_call(
        runtime, brief.attempt_id, brief.stream_no, call_id=call_id, name=name, arguments=arguments
    ):
        return {"error": "it was called before"}
    answer = _read_arguments(brief, name, arguments)
    if "error" not in answer:
        if name == "opt_out":
            await suppress(runtime, brief.phone, "asked in a call", "call", brief.attempt_id)
        payload = {"call_id": call_id, "name": name, "arguments": {**arguments, **answer}}
        await record_milestone(runtime, brief.attempt_id, "tool_called", call_id, payload)
    await finish_tool_call(runtime, brief.attempt_id, call_id, answer)
    return answer


def _read_arguments(
    brief: ConversationBrief, name: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """What is understood of them, or what is wrong with them."""
    if name == "record_outcome":
        problem = arguments_problem(arguments, brief.template.outcome_schema)
        return {"error": f"not recorded: {problem}"} if problem else {}
    if name == "schedule_callback":
        furthest = brief.template.retry.max_callback_days
        at = callback_time(arguments, datetime.now(UTC), brief.timezone, furthest)
        return {"error": at} if isinstance(at, str) else {"at": at.isoformat()}
    return {}

"""The tools that the model calls, and what each does. A call is written before it runs."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from sqlalchemy.exc import SQLAlchemyError

from outdial.domain.phrases import phrases_for
from outdial.observability import traces
from outdial.operations.conversation_record import (
    ConversationBrief,
    begin_tool_call,
    finish_tool_call,
    record_milestone,
)
from outdial.operations.guarded_http import GuardedHttp
from outdial.operations.runtime import Runtime
from outdial.operations.suppress_number import suppress
from outdial.operations.tool_arguments import DIGITS, arguments_problem, callback_time
from outdial_media.http_tools import HttpTools
from outdial_media.tool_result import Call, ToolResult
from outdial_media.tool_schemas import tool_schemas

_log = structlog.get_logger(__name__)

_STORE_TRIES = 5
_STORE_PAUSE_SECONDS = 0.4


class Tools:
    """The tools of one call."""

    def __init__(
        self, runtime: Runtime, brief: ConversationBrief, call: Call, http: GuardedHttp
    ) -> None:
        self._runtime = runtime
        self._brief = brief
        self._call = call
        self._phrases = phrases_for(brief.template.language)
        self._http = HttpTools(http, brief, call)
        self._undelivered: dict[str, asyncio.Future[ToolResult]] = {}
        self._seen_ids: set[str] = set()
        self._outcome_refused = False
        self._offered = {schema.name for schema in tool_schemas(brief.template)}
        self._runs: dict[str, Callable[[Mapping[str, Any]], Awaitable[ToolResult]]] = {
            "end_call": self._end_call,
            "record_outcome": self._record_outcome,
            "opt_out": self._opt_out,
            "schedule_callback": self._schedule_callback,
            "wrong_person": self._wrong_person,
            "voicemail_reached": self._voicemail_reached,
            "transfer_to_human": self._transfer_to_human,
            "send_digits": self._send_digits,
        }

    @property
    def schemas(self) -> list[FunctionSchema]:
        """What the model is offered."""
        return tool_schemas(self._brief.template)

    async def run(self, name: str, arguments: Mapping[str, Any], call_id: str) -> ToolResult:
        """Write the call, run it, write its answer. A failure is an answer, never an exception.

        The work is done even if the caller is cancelled (by a person who interrupts): what was
        asked for has been asked for. A request to the template's own systems whose answer nobody
        got that way is not made again when the model repeats it: it gets that answer.
        """
        key = f"{name} {json.dumps(arguments, sort_keys=True, default=str)}"
        work = self._undelivered.pop(key, None)
        if work is None:
            work = asyncio.ensure_future(self._traced(name, dict(arguments), call_id))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if name in self._http:
                self._undelivered[key] = work
            raise

    async def _traced(self, name: str, arguments: dict[str, Any], call_id: str) -> ToolResult:
        tool = name if name in self._offered else "unknown"
        with traces.span(f"tool {tool}", self._brief.span, tool=tool) as span:
            result = await self._run(name, arguments, self._own_id(call_id))
            span.set(refused="error" in result.answer)
            return result

    async def _run(self, name: str, arguments: dict[str, Any], call_id: str) -> ToolResult:
        if name not in self._offered:
            return ToolResult({"error": f"there is no tool {name!r} in this call"})
        brief = self._brief
        try:
            await _stored(
                lambda: begin_tool_call(
                    self._runtime,
                    brief.attempt_id,
                    brief.stream_no,
                    call_id=call_id,
                    name=name,
                    arguments=arguments,
                )
            )
            if name in self._http:
                result = await self._http.run(name, arguments)
            else:
                result = await self._runs[name](arguments)
            if "error" not in result.answer:
                await self._tell(name, {**arguments, **_read_as(result)}, call_id)
            await _stored(
                lambda: finish_tool_call(self._runtime, brief.attempt_id, call_id, result.answer)
            )
        except Exception:  # noqa: BLE001 - the model is told, the call goes on
            _log.exception("tool_failed", tool=name, attempt_id=str(brief.attempt_id))
            return ToolResult({"error": "this could not be done now"})
        return result

    async def _tell(self, name: str, arguments: Mapping[str, Any], call_id: str) -> None:
        payload = {"call_id": call_id, "name": name, "arguments": dict(arguments)}
        await _stored(
            lambda: record_milestone(
                self._runtime, self._brief.attempt_id, "tool_called", call_id, payload
            )
        )

    async def _end_call(self, arguments: Mapping[str, Any]) -> ToolResult:
        if self._outcome_refused:
            self._outcome_refused = False  # once: a model that cannot do better may still end
            return ToolResult(
                {"error": "record_outcome was refused: mend it first, then end the call"}
            )
        return self._ending(arguments, self._phrases.goodbye, "agent_ended")

    async def _record_outcome(self, arguments: Mapping[str, Any]) -> ToolResult:
        problem = arguments_problem(arguments, self._brief.template.outcome_schema)
        self._outcome_refused = problem is not None
        if problem is not None:
            return ToolResult({"error": f"not recorded: {problem}"})
        return ToolResult({"recorded": True})

    async def _opt_out(self, arguments: Mapping[str, Any]) -> ToolResult:
        await _stored(
            lambda: suppress(
                self._runtime,
                self._brief.phone,
                reason="asked in a call",
                source="call",
                attempt_id=self._brief.attempt_id,
            )
        )
        return self._ending(arguments, self._phrases.opted_out, "opted_out")

    async def _wrong_person(self, arguments: Mapping[str, Any]) -> ToolResult:
        return self._ending(arguments, self._phrases.wrong_person, "wrong_person")

    async def _voicemail_reached(self, _arguments: Mapping[str, Any]) -> ToolResult:
        await self._call.reach_machine()
        return ToolResult({"ok": True}, run_model=False)

    async def _transfer_to_human(self, arguments: Mapping[str, Any]) -> ToolResult:
        said = self._call.said_since_person()
        announcement = _text(arguments, "goodbye") or (None if said else self._phrases.transfer)
        if not await self._call.put_through(announcement):
            return ToolResult({"error": "nobody can be connected now"})
        return ToolResult({"ok": True}, run_model=False)

    async def _send_digits(self, arguments: Mapping[str, Any]) -> ToolResult:
        digits = str(arguments.get("digits") or "")
        if not DIGITS.fullmatch(digits):
            return ToolResult({"error": "digits must be up to 32 of 0-9, * and #"})
        await self._call.press(digits)
        return ToolResult({"pressed": digits}, run_model=False)  # the menu speaks next

    async def _schedule_callback(self, arguments: Mapping[str, Any]) -> ToolResult:
        at = callback_time(
            arguments,
            datetime.now(UTC),
            self._brief.timezone,
            self._brief.template.retry.max_callback_days,
        )
        if isinstance(at, str):
            return ToolResult({"error": f"not scheduled: {at}"})
        return ToolResult({"scheduled_for": at.isoformat()})

    def _ending(self, arguments: Mapping[str, Any], fallback: str, reason: str) -> ToolResult:
        farewell = _text(arguments, "goodbye")
        if farewell is None and not self._call.said_since_person():
            farewell = fallback
        self._call.end_with(farewell, reason)
        return ToolResult({"ok": True}, run_model=False)

    def _own_id(self, call_id: str) -> str:
        """Some models number their calls anew in each answer: every call is its own row."""
        stream_no = self._brief.stream_no
        own = (call_id or "call") if stream_no == 1 else f"{stream_no}:{call_id or 'call'}"
        wanted, number = own, 1
        while wanted in self._seen_ids:
            number += 1
            wanted = f"{own}#{number}"
        self._seen_ids.add(wanted)
        return wanted


def _text(arguments: Mapping[str, Any], name: str) -> str | None:
    return str(arguments.get(name) or "").strip() or None


def _read_as(result: ToolResult) -> dict[str, Any]:
    """What was understood of the arguments: a time is told with its zone."""
    at = result.answer.get("scheduled_for")
    return {"at": at} if at else {}


async def _stored(write: Callable[[], Awaitable[object]]) -> None:
    """Write to a store that may be away for a moment.

    Raises:
        Exception: the store's, when it stayed away.

    """
    for left in reversed(range(_STORE_TRIES)):
        try:
            await write()
        except (SQLAlchemyError, OSError):
            if not left:
                raise
            await asyncio.sleep(_STORE_PAUSE_SECONDS)
        else:
            return

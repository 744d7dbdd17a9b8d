"""The template's own tools in one call: what stands between the model and the request."""

from collections.abc import Mapping
from typing import Any

from outdial.domain.call_template import HttpTool
from outdial.domain.phrases import phrases_for
from outdial.domain.placeholders import fill
from outdial.operations.call_http_tool import call_http_tool
from outdial.operations.conversation_record import ConversationBrief
from outdial.operations.guarded_http import GuardedHttp
from outdial.operations.tool_arguments import arguments_problem
from outdial_media.tool_result import Call, ToolResult


class HttpTools:
    """Runs them: arguments checked, the wait covered with words, nothing done twice."""

    def __init__(self, http: GuardedHttp, brief: ConversationBrief, call: Call) -> None:
        self._http = http
        self._brief = brief
        self._call = call
        self._phrases = phrases_for(brief.template.language)
        self._tools = {t.name: t for t in brief.template.tools if isinstance(t, HttpTool)}
        self._refused: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    async def run(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """The answer; what is wrong with the arguments goes back to the model, once."""
        tool = self._tools[name]
        problem = arguments_problem(arguments, tool.parameters)
        if problem is not None:
            return await self._refuse(name, problem)
        self._refused.discard(name)
        earlier = self._earlier(tool, arguments)
        if earlier is not None:
            return ToolResult(earlier)
        return ToolResult(await self._answer(tool, arguments))

    async def _refuse(self, name: str, problem: str) -> ToolResult:
        if name not in self._refused:
            self._refused.add(name)
            return ToolResult({"error": f"not called: {problem}. Mend the arguments."})
        self._refused.discard(name)  # twice is enough: the person has waited for two answers
        await self._call.say(self._phrases.cannot_do)
        return ToolResult({"error": f"not called: {problem}"}, run_model=False)

    def _earlier(self, tool: HttpTool, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """What is known of the same call on a stream that was lost: it is not made again."""
        if tool.http.method == "GET":
            return None
        for call in self._brief.tool_history:
            if (call.name, dict(call.arguments)) == (tool.name, dict(arguments)):
                if call.result is not None:
                    return dict(call.result)
                return {"error": "outcome unknown: it was begun when the line was lost. Tell the "
                        "person that it will be looked into; do not call it again."}  # fmt: skip
        return None

    async def _answer(self, tool: HttpTool, arguments: Mapping[str, Any]) -> dict[str, Any]:
        values = {**self._brief.values, **arguments}
        self._call.cover_wait(fill(tool.http.filler, values).strip())
        return await call_http_tool(self._http, tool, arguments, self._brief.values)

"""A language model of any other service of pipecat 1.14, as one more endpoint of a call's route.

The service is asked outside a pipeline: it gets a context, and what it pushes is told on as the
chunks of an OpenAI client. So all that the route does holds for it too: the next model when it
fails, whole calls of tools, an end as soon as the person interrupts, the pass after a hang-up.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice as WholeChoice
from openai.types.chat.chat_completion_chunk import (
    Choice,
    ChoiceDelta,
    ChoiceDeltaToolCall,
    ChoiceDeltaToolCallFunction,
)
from openai.types.chat.chat_completion_message_tool_call import (
    ChatCompletionMessageToolCall,
    Function,
)
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    FunctionCallFromLLM,
    LLMContextFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import NOT_GIVEN, LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService

from outdial_media.model_answer import BadAnswer
from outdial_media.pipecat_services import close_client
from outdial_media.shared_tls import SharesTls

Told = str | FunctionCallFromLLM | BaseException | None
"""A piece of text, a call of a tool, what went wrong, or that this was all."""


class _Stopped(Exception):
    """The service has told of an error."""


class ForeignModel:
    """Stands where the route expects a client: `chat.completions.create`.

    One service answers one request at a time; as many are kept as were needed at once.
    """

    def __init__(self, make: Callable[[type[Any]], LLMService[Any]], cls: type[Any]) -> None:
        self._make = make
        self._class = type(f"Asked{cls.__name__}", (_Asked, SharesTls, cls), {})
        self._idle: list[Any] = []
        self.chat = self.completions = self  # AsyncOpenAI's path to `create`

    async def create(
        self,
        *,
        messages: Sequence[dict[str, Any]],
        tools: Any = None,
        stream: bool = False,
        **_rest: Any,
    ) -> Any:
        """As an OpenAI client's; what else is asked for is the service's own business.

        Raises:
            BadAnswer: the service has failed; by a stream, while it is read.

        """
        told = [dict(message) for message in messages]
        first = told.pop(0) if told and told[0]["role"] == "system" else {}
        context = LLMContext(messages=told, tools=_tools(tools))  # type: ignore[arg-type]
        answer = _Answer(self._answering(context, str(first.get("content", ""))))
        return answer if stream else await _whole(answer)

    async def close(self) -> None:
        """Close the connections of those that are not at work."""
        while self._idle:
            await close_client(self._idle.pop())

    async def _answering(
        self, context: LLMContext, instruction: str
    ) -> AsyncIterator[ChatCompletionChunk]:
        service: Any = self._idle.pop() if self._idle else self._make(self._class)
        told: asyncio.Queue[Told] = asyncio.Queue()
        service.told = told.put_nowait
        service.instruct(instruction or None)
        work = asyncio.create_task(_ask(service, context, told))
        try:
            number = 0
            while (piece := await told.get()) is not None:
                if isinstance(piece, BaseException):
                    raise BadAnswer(f"{type(piece).__name__}: {piece}") from piece
                if isinstance(piece, str):
                    yield _chunk(ChoiceDelta(content=piece))
                else:
                    yield _chunk(ChoiceDelta(tool_calls=[_call(number, piece)]))
                    number += 1
            yield _chunk(ChoiceDelta(), "tool_calls" if number else "stop")
        finally:
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
            service.told = _nobody
            self._idle.append(service)


class _Asked(LLMService[Any]):
    """Put before a service: what it would push into its pipeline is told instead."""

    told: Callable[[Told], None]

    def instruct(self, instruction: str | None) -> None:
        """What the next answer goes by. Upstream composes it anew from the base for each one."""
        self._settings.system_instruction = self._base_system_instruction = instruction

    async def push_frame(
        self,
        frame: Frame,
        direction: FrameDirection = FrameDirection.DOWNSTREAM,  # noqa: ARG002
    ) -> None:
        if isinstance(frame, LLMTextFrame):
            self.told(frame.text)
        elif isinstance(frame, ErrorFrame):
            self.told(frame.exception or _Stopped(frame.error))

    async def push_error_frame(
        self,
        error: ErrorFrame,
        force_treat_as_permanent: bool = False,  # noqa: ARG002
    ) -> None:
        """An error concerns one answer: whether to ask again is for the route to say."""
        self.told(error.exception or _Stopped(error.error))

    async def run_function_calls(self, function_calls: Sequence[FunctionCallFromLLM]) -> None:
        for call in function_calls:
            self.told(call)

    async def broadcast_frame(self, *_args: Any, **_kwargs: Any) -> None:
        """Nobody is there to hear it."""


async def _ask(service: Any, context: LLMContext, told: asyncio.Queue[Told]) -> None:
    """Have the service answer; it says so itself when something goes wrong."""
    try:
        await service.process_frame(LLMContextFrame(context), FrameDirection.DOWNSTREAM)
    except Exception as error:  # noqa: BLE001 - whatever its library raises
        told.put_nowait(error)
    told.put_nowait(None)


def _nobody(_told: Told) -> None:
    """What comes after the end is not heard."""


class _Answer:
    """A stream as the OpenAI client gives one."""

    def __init__(self, chunks: AsyncIterator[ChatCompletionChunk]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        return self._chunks

    async def close(self) -> None:
        """Stop asking."""
        await self._chunks.aclose()  # type: ignore[attr-defined]


async def _whole(answer: _Answer) -> ChatCompletion:
    text = ""
    calls: list[Any] = []
    async for chunk in answer:
        delta = chunk.choices[0].delta
        text += delta.content or ""
        for call in delta.tool_calls or ():
            function = call.function
            calls.append(
                ChatCompletionMessageToolCall(
                    id=call.id or "",
                    type="function",
                    function=Function(
                        name=(function and function.name) or "",
                        arguments=(function and function.arguments) or "{}",
                    ),
                )
            )
    message = ChatCompletionMessage(
        role="assistant", content=text or None, tool_calls=calls or None
    )
    reason = "tool_calls" if calls else "stop"
    choice = WholeChoice(index=0, message=message, finish_reason=reason)
    return ChatCompletion(
        id="pipecat", created=0, model="", object="chat.completion", choices=[choice]
    )


def _chunk(delta: ChoiceDelta, finished: Any = None) -> ChatCompletionChunk:
    choice = Choice(index=0, delta=delta, finish_reason=finished)
    return ChatCompletionChunk(
        id="pipecat", created=0, model="", object="chat.completion.chunk", choices=[choice]
    )


def _call(number: int, call: FunctionCallFromLLM) -> ChoiceDeltaToolCall:
    arguments = json.dumps(dict(call.arguments or {}))
    return ChoiceDeltaToolCall(
        index=number,
        id=call.tool_call_id or f"call_{number}",
        type="function",
        function=ChoiceDeltaToolCallFunction(name=call.function_name, arguments=arguments),
    )


def _tools(tools: Any) -> Any:
    """Tools as an OpenAI request names them, in the words that every service translates."""
    schemas = []
    for tool in tools if isinstance(tools, list | tuple) else ():
        function = tool["function"]
        parameters = function.get("parameters") or {}
        schemas.append(
            FunctionSchema(
                name=function["name"],
                description=function.get("description", ""),
                properties=parameters.get("properties", {}),
                required=parameters.get("required", []),
            )
        )
    return ToolsSchema(standard_tools=schemas) if schemas else NOT_GIVEN

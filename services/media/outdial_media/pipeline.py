"""The pipeline of one call: line → recogniser → person's turns → model → voice → line.

Built around a line that need not have a socket yet.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMAssistantAggregator,
    LLMUserAggregatorParams,
)
from pipecat.services.llm_service import FunctionCallParams
from pipecat.turns.empty_user_turn import EmptyUserTurnConfig
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from outdial.domain.call_template import CallTemplate, Turns
from outdial_media.backchannel import backchannels
from outdial_media.foreign_hearing import HearsOn
from outdial_media.foreign_voice import ForeignVoice
from outdial_media.heard_words import HeardWords, heard_words
from outdial_media.noise_filter import NoiseFiltered, make_filter
from outdial_media.person_turns import PersonTurns
from outdial_media.phone_llm import PhoneLLM
from outdial_media.phone_output import PhoneOutput
from outdial_media.phone_stt import PhoneSTT
from outdial_media.phone_transport import PhoneInput
from outdial_media.phone_tts import PhoneTTS
from outdial_media.phone_worker import PhoneWorker
from outdial_media.shared_models import SharedModels
from outdial_media.speech_services import SpeechServices
from outdial_media.telephone_line import TelephoneLine
from outdial_media.tool_schemas import tool_schemas
from outdial_media.tools import Tools
from outdial_media.turn_start import PhoneTurnStart
from outdial_media.turn_taking import Patience, PhoneTurnStop
from outdial_media.twilio_frames import SAMPLE_RATE

RECOGNISER_SECONDS = 0.7
SHORTEST_WAIT_SECONDS = 1.5
"""A turn without a transcript is over when the recogniser has had this long beyond Smart Turn's
longest wait, and never sooner than the shortest."""

WHOLE_SECONDS = 0.6
"""Silence after which a whole sentence is over, though it sounds as if it went on."""

UNFINISHED_TIMES = 1.5
"""Words that want more are waited on for so many of Smart Turn's longest waits."""

_NOT_UNDERSTOOD = (
    "The person said something that could not be understood. Ask them briefly to say it again."
)
"""Upstream leaves such a turn unanswered: on the telephone that is seven seconds of silence."""


@dataclass
class CallPipeline:
    """The parts of a call's pipeline that the conversation speaks to."""

    instruction: str
    context: LLMContext
    input: PhoneInput
    output: PhoneOutput
    hearing: PhoneSTT | HearsOn
    thinking: PhoneLLM
    speaking: PhoneTTS | ForeignVoice
    person: PersonTurns
    turn_start: PhoneTurnStart
    agent: LLMAssistantAggregator
    worker: PipelineWorker

    def call_tools(self, tools: Tools) -> None:
        """Let these do what the model calls for."""
        for schema in tools.schemas:
            self.thinking.register_function(schema.name, _handler(tools))


async def build_pipeline(
    line: TelephoneLine,
    template: CallTemplate,
    models: SharedModels,
    services: SpeechServices,
    *,
    instruction: str,
    muted: Callable[[], bool],
) -> CallPipeline:
    """Everything of a call that can be made before it is answered. Connects nothing yet.

    It takes 2 to 4 ms of the loop, in three parts: live calls have their turns between them.
    """
    context = LLMContext(tools=list(tool_schemas(template)))
    hearing = services.hearing(template)
    thinking = services.thinking(template, instruction)
    speaking = services.speaking(template)
    await asyncio.sleep(0)
    output = PhoneOutput(line)
    person, turn_start = _person(context, template, models, output, thinking, muted)
    parts = CallPipeline(
        instruction=instruction,
        context=context,
        input=PhoneInput(line),
        output=output,
        hearing=hearing,
        thinking=thinking,
        speaking=speaking,
        person=person,
        turn_start=turn_start,
        agent=LLMAssistantAggregator(context),
        worker=None,  # type: ignore[arg-type]  # made of the others, below
    )
    parts.input.listeners = (hearing.hear, person.hear)
    if (noise_filter := make_filter(template.voice.noise_filter)) is not None:
        parts.input.listeners = (NoiseFiltered(noise_filter, parts.input.listeners).hear,)
    await asyncio.sleep(0)
    parts.worker = _worker(parts)
    return parts


def _worker(parts: CallPipeline) -> PipelineWorker:
    pipeline = Pipeline(
        [
            parts.input,
            parts.hearing,
            parts.person,
            parts.thinking,
            parts.speaking,
            parts.output,
            parts.agent,
        ]
    )
    return PhoneWorker(
        pipeline,
        params=PipelineParams(audio_in_sample_rate=SAMPLE_RATE, audio_out_sample_rate=SAMPLE_RATE),
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,  # silence and the longest call are the conversation's business
        cancel_timeout_secs=3.0,
    )


def _person(
    context: LLMContext,
    template: CallTemplate,
    models: SharedModels,
    output: PhoneOutput,
    thinking: PhoneLLM,
    muted: Callable[[], bool],
) -> tuple[PersonTurns, PhoneTurnStart]:
    turns = template.turns
    judge = models.turn_end(turns)
    stop = PhoneTurnStop(
        turn_analyzer=judge,
        judge=lambda text: (
            heard_words(text, template.language) if turns.smart_turn else HeardWords.OPEN
        ),
        patience=_patience(turns),
        eager=turns.eager_answers,
    )
    start = PhoneTurnStart(
        output,
        stop,
        backchannels(template.language, turns.backchannels),
        longest_seconds=turns.backchannel_ms / 1000,
        silence_seconds=turns.silence_ms / 1000,
        muted=muted,
    )
    voices = models.voice_activity(turns)
    params = LLMUserAggregatorParams(
        vad_analyzer=voices,
        # A telephone line sends sound every 20 ms, silence too. When a pod gets no processor for a
        # second, upstream would end the person's turn and lose what waits in the socket.
        audio_idle_timeout=0,
        user_turn_strategies=UserTurnStrategies(
            start=[start],
            stop=[stop],
        ),
        user_turn_stop_timeout=max(
            SHORTEST_WAIT_SECONDS,
            (turns.smart_turn_max_ms - turns.silence_ms) / 1000 + RECOGNISER_SECONDS,
        ),
        user_idle_timeout=template.agent.idle.seconds,
        empty_user_turn=EmptyUserTurnConfig(idle_prompt=_NOT_UNDERSTOOD),
    )
    person = PersonTurns(context, params=params, stop=stop, judge=judge, muted=muted)
    voices.on_likely = start.voice_is_likely
    stop.turn_text = person.aggregation_string
    stop.answer_is_held = lambda: thinking.holds_answer
    return person, start


def _patience(turns: Turns) -> Patience:
    longest = turns.smart_turn_max_ms / 1000
    noticed = turns.silence_ms / 1000
    return Patience(
        whole=max(0.0, min(WHOLE_SECONDS, longest) - noticed),
        unfinished=max(0.0, UNFINISHED_TIMES * longest - noticed),
    )


def _handler(tools: Tools) -> Callable[[FunctionCallParams], object]:
    async def run(params: FunctionCallParams) -> None:
        result = await tools.run(params.function_name, params.arguments, params.tool_call_id)
        await params.result_callback(
            dict(result.answer),
            properties=None if result.run_model else FunctionCallResultProperties(run_llm=False),
        )

    return run

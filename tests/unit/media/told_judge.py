"""A judge of turns that says what it is told to say."""

from collections.abc import Callable

from pipecat.audio.turn.base_turn_analyzer import BaseTurnAnalyzer, EndOfTurnState


class ToldJudge(BaseTurnAnalyzer):
    """Says `state` of every turn."""

    speech_triggered = True
    params = None
    judgement = 0

    def __init__(self, state: EndOfTurnState) -> None:
        super().__init__()
        self.state = state
        self.on_over: Callable[[int], None] = lambda _: None

    def append_audio(self, buffer: bytes, is_speech: bool) -> EndOfTurnState:
        return EndOfTurnState.INCOMPLETE

    async def analyze_end_of_turn(self) -> tuple[EndOfTurnState, None]:
        return self.state, None

    def clear(self) -> None:
        pass

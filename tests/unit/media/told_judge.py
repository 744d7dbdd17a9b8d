"""A judge of turns that says what it is told to say."""

from pipecat.audio.turn.base_turn_analyzer import BaseTurnAnalyzer, EndOfTurnState


class ToldJudge(BaseTurnAnalyzer):
    """Says `state` of every turn."""

    speech_triggered = True
    params = None

    def __init__(self, state: EndOfTurnState) -> None:
        super().__init__()
        self.state = state

    def append_audio(self, buffer: bytes, is_speech: bool) -> EndOfTurnState:
        return EndOfTurnState.INCOMPLETE

    async def analyze_end_of_turn(self) -> tuple[EndOfTurnState, None]:
        return self.state, None

    def clear(self) -> None:
        pass

"""Sound that is held, goes on, or is taken back for good."""

import asyncio
import struct

import pytest

from outdial_media.paced_sound import PacedSound
from outdial_media.telephone_line import TelephoneLine
from outdial_media.twilio_frames import SAMPLE_RATE
from polling import until

pytestmark = pytest.mark.unit


class _Line(TelephoneLine):
    """Writes down what goes over it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []
        self.sound = b""
        self.waiting: list[asyncio.Future[bool]] = []

    async def send_sound(self, pcm: bytes) -> bool:
        self.sent.append("sound")
        self.sound += pcm
        return True

    async def mark(self, played: asyncio.Future[bool]) -> None:
        self.sent.append("mark")
        self.waiting.append(played)

    async def take_back(self) -> list[asyncio.Future[bool]]:
        self.sent.append("clear")
        marks, self.waiting = self.waiting, []
        return marks


PIECE = struct.pack("<2h", 3000, -3000) * (SAMPLE_RATE * 40 // 1000 // 2)


@pytest.fixture
def line() -> _Line:
    return _Line()


async def test_what_was_held_is_heard_to_its_end_with_its_marks(line: _Line) -> None:
    sound = PacedSound(line)
    played: asyncio.Future[bool] = asyncio.Future()
    for _ in range(5):
        await sound.send(PIECE)
    await sound.mark(played)
    await sound.hold()
    assert line.sent[-1] == "clear"
    again = await sound.go_on()
    assert line.sent[-2:] == ["sound", "mark"], "in their order"
    assert line.sound == 10 * PIECE, "nothing of it had been played"
    assert again < 0.1
    assert not played.done()
    assert not sound.is_held


async def test_who_brings_more_waits_until_it_goes_on(line: _Line) -> None:
    sound = PacedSound(line)
    await sound.send(PIECE)
    await sound.hold()
    waiting = asyncio.create_task(sound.may_go())
    await asyncio.sleep(0)
    assert not waiting.done()
    await sound.go_on()
    assert await waiting


async def test_what_is_taken_back_for_good_is_not_sent_any_more(line: _Line) -> None:
    sound = PacedSound(line)
    played: asyncio.Future[bool] = asyncio.Future()
    await sound.send(PIECE)
    await sound.mark(played)
    await sound.hold()
    dropped = asyncio.create_task(sound.may_go())
    whole = asyncio.create_task(sound.may_go(interruptible=False))
    await asyncio.sleep(0)
    await sound.clear()
    assert (await dropped, await whole, played.result()) == (False, True, False)
    assert await sound.go_on() == 0.0
    assert line.sound == PIECE, "it does not go on"
    assert await sound.may_go(), "what comes next is new"


async def test_a_second_hold_loses_nothing_of_what_went_on(line: _Line) -> None:
    sound = PacedSound(line)
    for _ in range(5):
        await sound.send(PIECE)
    for _ in range(2):
        await sound.hold()
        await sound.hold()
        await sound.go_on()
    assert line.sound == 15 * PIECE
    assert line.sent.count("clear") == 2


async def test_waiting_for_room_ends_when_there_is_room_again(line: _Line) -> None:
    sound = PacedSound(line)
    for _ in range(1000):
        await sound.send(PIECE)
    pacing = asyncio.create_task(sound.pace())
    await asyncio.sleep(0)
    assert not pacing.done(), "40 s are on their way"
    await sound.clear()
    await until(pacing.done, 5)


async def test_what_was_held_for_nothing_is_not_said_again(line: _Line) -> None:
    sound = PacedSound(line)
    for _ in range(5):
        await sound.send(PIECE)
    sound._playback._played_until -= 0.12  # so much of it has been played
    await sound.hold()
    before = len(line.sound)
    assert await sound.go_on(from_pause=False) == 0.0
    left = (len(line.sound) - before) / (2 * SAMPLE_RATE)
    assert 0.05 < left <= 0.08, "from the very place"
    assert not sound.is_held

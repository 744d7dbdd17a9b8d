"""How a caller takes a scripted turn, and what the bot makes of it."""

import asyncio
import time
from collections.abc import Callable

from media_caller import PATIENCE, Caller, Spoken, first_of
from media_speech import REPLY, Label
from turns_script import SCRIPT, ScriptedTurn

MANNERS = 0.5  # between the bot's last sound and a caller's first
STILL = 4.0
"""How long after the bot's last sound a caller says nothing at most: by default a template asks
after five seconds whether anybody is there, rightly."""
OVER_AFTER = 1.2  # how far into the bot's words a caller speaks over them
BEFORE_END = 0.7  # how long before their end an early answer comes
SAID_TWICE = 1.0
"""A bot that goes on may say so much again; one that answers says a whole reply."""


async def converse(caller: Caller, turns: Callable[[int], int | None]) -> None:
    """Hear the greeting, then take turns until there is none left."""
    await caller.bot_is_done()
    count = 0
    while (turn := turns(count)) is not None and not caller.gone.is_set():
        await asyncio.sleep(MANNERS)
        done = await take_turn(caller, turn)
        caller.record.turns.append(done)
        count += 1


async def be_brief(caller: Caller) -> None:
    """A whole exchange in as little time as one takes."""
    await caller.bot_begins()
    heard = asyncio.Event()
    done = Spoken(0, "sentence", Label(caller.record.call, 0).text)

    def reply(now: float) -> None:
        done.heard = now
        heard.set()

    await caller.say(0, SCRIPT[0], done)
    caller.expect(REPLY)
    caller.on_bot = reply
    await first_of(heard.wait(), asyncio.sleep(PATIENCE), caller.gone.wait())
    caller.record.turns.append(done)


async def take_turn(caller: Caller, turn: int) -> Spoken:
    """One scripted turn and what the bot makes of it."""
    scripted = SCRIPT[turn]
    done = Spoken(turn, scripted.kind, Label(caller.record.call, turn).text)
    if scripted.over:
        await _speak_over(caller, turn, scripted, done)
        return done

    def heard(now: float) -> None:
        done.heard = now
        done.cut_in = not done.said or now < done.said

    caller.expect(REPLY)
    caller.on_bot = heard
    if scripted.kind == "silence":
        await _be_still(caller)
    else:
        await caller.say(turn, scripted, done)
        if scripted.kind == "noise":
            await _be_still(caller)
    if scripted.pieces or done.heard is not None:
        done.finished = await caller.bot_is_done()
    return done


async def _be_still(caller: Caller) -> None:
    await asyncio.sleep(max(0.0, caller.plays_until + STILL - time.monotonic()))


async def _speak_over(caller: Caller, turn: int, scripted: ScriptedTurn, done: Spoken) -> None:
    """Get the bot to talk, speak over it, and see what it does."""
    spoke = asyncio.Event()
    caller.expect(REPLY)
    caller.on_bot = lambda _: spoke.set()
    await caller.say(0, SCRIPT[0], Spoken(0, "sentence", ""))
    await first_of(spoke.wait(), asyncio.sleep(PATIENCE), caller.gone.wait())
    wait = max(OVER_AFTER, caller.left - BEFORE_END) if scripted.at_the_end else OVER_AFTER
    await asyncio.sleep(wait)
    expected = 0.0

    def cut(now: float) -> None:
        nonlocal expected
        if done.stopped is None and done.began and not caller.is_whole:
            done.stopped = now
            expected = caller.received + caller.left

    def again(now: float) -> None:
        if done.stopped is not None and done.went_on is None:
            done.went_on = now

    caller.on_cut, caller.on_again = cut, again
    await caller.say(turn, scripted, done)
    if scripted.kind in {"interruption", "early_answer"}:
        await _be_answered(caller, done)
    else:
        await caller.bot_falls_silent()
        done.finished = caller.is_whole
        if done.stopped is not None:
            more = caller.received - expected
            done.finished = abs(more) <= SAID_TWICE and done.went_on is not None
        if done.stopped is not None and done.went_on is None:
            await _be_answered(caller, done)  # some take their time
            done.finished = False
    caller.on_cut = caller.on_again = lambda _: None


async def _be_answered(caller: Caller, done: Spoken) -> None:
    if done.stopped is None and not caller.is_whole:
        done.stopped = caller.plays_until  # it fell silent without taking anything back
    answered = asyncio.Event()
    caller.expect(REPLY)

    def heard(now: float) -> None:
        done.heard = now
        answered.set()

    caller.on_bot = heard
    await first_of(answered.wait(), asyncio.sleep(PATIENCE / 2), caller.gone.wait())
    done.finished = done.heard is not None and await caller.bot_is_done()

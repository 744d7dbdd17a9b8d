"""A store that is away costs one caller their patience, and nobody else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from outdial.operations.ask_in_time import Away
from outdial.operations.breaker import Breaker
from polling import until

pytestmark = pytest.mark.unit


class Store:
    """Answers, refuses, or says nothing until it is told to go on."""

    def __init__(self) -> None:
        self.asked = 0
        self.refuses = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def ask(self) -> str:
        self.asked += 1
        if self.refuses:
            raise ConnectionRefusedError
        await self.answers.wait()
        return "answer"


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def breaker(store: Store) -> AsyncIterator[Breaker]:
    breaker = Breaker("store", 0.05, store.ask)
    yield breaker
    await breaker.close()


async def closes(breaker: Breaker) -> None:
    await until(lambda: not breaker.is_open, 10)


async def test_a_store_that_answers_is_asked(breaker: Breaker, store: Store) -> None:
    assert [await breaker.ask(store.ask) for _ in range(3)] == ["answer"] * 3
    assert not breaker.is_open


async def test_while_it_is_away_nobody_asks_and_when_it_is_back_all_do(
    breaker: Breaker, store: Store
) -> None:
    store.refuses = True
    assert isinstance(await breaker.ask(store.ask), Away)
    assert breaker.is_open

    def never() -> Awaitable[str]:
        raise AssertionError("asked while it was away")

    for _ in range(3):
        assert isinstance(await breaker.ask(never), Away)
    store.refuses = False
    await closes(breaker)
    assert await breaker.ask(store.ask) == "answer"


async def test_those_who_wait_already_wait_no_longer_than_the_first(
    breaker: Breaker, store: Store
) -> None:
    store.answers.clear()
    patient = Breaker("store", 3600, store.ask)
    waiting = [asyncio.create_task(patient.ask(store.ask)) for _ in range(5)]
    while store.asked < 5:  # noqa: ASYNC110 - the tasks run meanwhile
        await asyncio.sleep(0)
    store.refuses = True
    async with asyncio.timeout(10):
        assert isinstance(await patient.ask(store.ask), Away)
        assert all(isinstance(found, Away) for found in await asyncio.gather(*waiting))
    await patient.close()


async def test_a_store_that_says_nothing_is_away(breaker: Breaker, store: Store) -> None:
    store.answers.clear()
    assert isinstance(await breaker.ask(store.ask), Away)
    assert breaker.is_open
    store.answers.set()
    await closes(breaker)


async def test_a_shared_answer_is_not_taken_from_others(breaker: Breaker) -> None:
    shared: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    assert isinstance(await breaker.ask(lambda: shared), Away)
    assert not shared.cancelled()
    shared.set_result("late")


async def test_a_defect_is_not_hidden(breaker: Breaker) -> None:
    async def broken() -> None:
        raise KeyError("ours")

    ask: Callable[[], Awaitable[None]] = broken
    with pytest.raises(KeyError):
        await breaker.ask(ask)
    assert not breaker.is_open

"""Lead and attempt driven at random through the operations, on real Postgres and Redis.

Dispatchers, workers, sweeps, callbacks (late, doubled, in any order), operators and opt-outs act
alone, at once, and each between another's work and its commit. What DESIGN.md section 3 promises is
checked after every step, in the tables and at the carrier.

`OUTDIAL_STATE_EXAMPLES` (12) says how many histories are tried; more than that are drawn at random.
"""

import asyncio
import os
from collections.abc import Awaitable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from dialing_actions import Op
from dialing_deployment import Deployment
from outdial.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600)]

EXAMPLES = int(os.environ.get("OUTDIAL_STATE_EXAMPLES", "12"))
STEPS = 30
OFTEN = (
    "call", "call", "claim", "place", "place_all", "tell", "tell", "answer", "answer", "hang_up",
    "hang_up", "settle", "sweep", "dial_one_now",
)  # fmt: skip
RARELY = (
    "opt_out", "allow", "pause", "resume", "resume", "close_hours", "cancel", "cancel_one",
    "change_one", "lose_carrier",
)  # fmt: skip
LEVERS = st.sampled_from(["opt_out", "opt_out", "pause", "close_hours", "cancel"])
OPS = st.builds(
    Op,
    st.one_of(st.sampled_from(OFTEN), st.sampled_from(OFTEN), st.sampled_from(RARELY)),
    st.integers(0, 5),
    st.integers(0, 9),
)


class DialingMachine(RuleBasedStateMachine):
    """Draws who does what and when. What it draws never depends on how a race came out."""

    deployment: Deployment

    def __init__(self) -> None:
        super().__init__()
        self._run(self.deployment.begin())
        for number in range(3):
            self.a_lead_is_added(number, None, number % 2)

    def _run(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        self.deployment.runner.run(run())

    @rule(first=st.integers(0, 4), second=st.none() | st.integers(0, 4), campaign=st.integers(0, 1))
    def a_lead_is_added(self, first: int, second: int | None, campaign: int) -> None:
        self._run(self.deployment.add_lead(first, second, campaign))

    @rule()
    def everything_is_reopened(self) -> None:
        self._run(self.deployment.reopen())

    @rule(op=OPS)
    def alone(self, op: Op) -> None:
        self._run(self.deployment.do(op))

    @rule(ops=st.lists(OPS, min_size=2, max_size=4))
    def at_once(self, ops: list[Op]) -> None:
        async def all_of_them() -> None:
            await asyncio.gather(*map(self.deployment.do, ops))

        self._run(all_of_them())

    @rule(first=OPS, nth=st.integers(0, 1), then=OPS)
    def before_it_commits(self, first: Op, nth: int, then: Op) -> None:
        self._run(self.deployment.hold_commit(first, nth, then))

    @rule(lever=LEVERS, which=st.integers(0, 4))
    def a_call_before_a_lever_commits(self, lever: str, which: int) -> None:
        call = Op("call", which, which)
        self._run(self.deployment.reopen())
        self._run(self.deployment.hold_commit(Op(lever, which, 0), 0, call))

    @rule(nth=st.integers(0, 2), lever=LEVERS, which=st.integers(0, 4))
    def a_lever_before_a_call_commits(self, nth: int, lever: str, which: int) -> None:
        call = Op("call", which, which)
        self._run(self.deployment.reopen())
        self._run(self.deployment.hold_commit(call, nth, Op(lever, which, 0)))

    @rule(lead=st.integers(0, 4))
    def dispatchers_meet(self, lead: int) -> None:
        """More is due than may be called, when two dispatchers look."""
        for number in range(4):
            self._run(self.deployment.add_lead(lead + number, None, 0))
        self._run(self.deployment.hold_commit(Op("claim", 0, 0), 0, Op("claim", 0, 0)))

    @rule(phone=st.integers(0, 4), how=st.sampled_from([3, 8]))
    def an_old_word_meets_the_next_claim(self, phone: int, how: int) -> None:
        """A fact of a call that ended comes while its lead is claimed anew."""
        for work in (
            self.deployment.grow_older(90_000),
            self.deployment.reopen(),
            self.deployment.busy_once(phone),
            self.deployment.hold_commit(Op("claim", 0, 0), 0, Op("tell", 0, how)),
            self.deployment.do(Op("settle", 5, 0)),
        ):
            self._run(work)

    @rule(op=OPS)
    def while_a_post_is_under_way(self, op: Op) -> None:
        self._run(self.deployment.during_post(op))

    @rule(seconds=st.sampled_from([3, 16, 31, 61, 700, 90_000]))
    def time_passes(self, seconds: int) -> None:
        self._run(self.deployment.grow_older(seconds))

    @rule()
    def redis_is_emptied(self) -> None:
        async def emptied() -> None:
            await self.deployment.world.runtime.redis.flushdb()
            await self.deployment.refresh_redis()

        self._run(emptied())

    @invariant()
    def promises_hold(self) -> None:
        self._run(self.deployment.check())

    def teardown(self) -> None:
        self._run(self.deployment.heal())


@pytest.fixture
def deployment(settings: Settings) -> Iterator[Deployment]:
    found = Deployment(settings)
    with found.runner:
        found.runner.run(found.open())
        yield found
        found.runner.run(found.close())


def test_no_history_breaks_a_promise(deployment: Deployment) -> None:
    class Machine(DialingMachine):
        pass

    Machine.deployment = deployment
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=EXAMPLES <= 12,
            database=None,
            # What fails by a race need not fail again: the steps that led there are the finding.
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )

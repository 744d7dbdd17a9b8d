"""What an operation works with: settings, stores, the carrier, and a way to hint at work."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from redis.asyncio import BlockingConnectionPool, Redis

from outdial.observability.outages import Outages
from outdial.queueing.dial_tokens import DialTokens
from outdial.queueing.hints import Hints
from outdial.queueing.redis_clock import RedisClock
from outdial.settings import Settings
from outdial.storage.engine import Sessions, open_sessions
from outdial.telephony.twilio_client import TwilioCarrier


@dataclass(frozen=True)
class Runtime:
    """Opened once a process; passed to every operation as its first argument.

    Operations open their own transactions (`async with runtime.sessions.begin() as session`);
    functions in `storage` take the session and never commit.
    """

    settings: Settings
    sessions: Sessions
    redis: Redis
    carrier: TwilioCarrier
    hints: Hints
    outages: Outages = field(default_factory=Outages)
    redis_clock: RedisClock = field(default_factory=RedisClock)

    @property
    def dial_tokens(self) -> DialTokens:
        """The pace of the account's calls."""
        account, rate = self.settings.twilio_account_sid, self.settings.calls_per_second
        return DialTokens(self.redis, account, rate, self.redis_clock)


@asynccontextmanager
async def open_runtime(settings: Settings, connections: int = 10) -> AsyncIterator[Runtime]:
    """Open the stores of `settings`; everything is closed on the way out.

    Nothing connects here: a store that is away is noticed by who needs it. `connections`: to
    Postgres, at most.
    """
    # A burst waits for a connection; the plain pool would refuse the hundredth request at once.
    pool = BlockingConnectionPool.from_url(
        settings.redis_url,
        decode_responses=True,
        max_connections=50,
        socket_connect_timeout=3,
        socket_timeout=5,
        timeout=5,
    )
    redis = Redis.from_pool(pool)
    carrier = TwilioCarrier(settings)
    hints = Hints(settings)
    try:
        async with open_sessions(settings.database_url, connections) as sessions:
            yield Runtime(settings, sessions, redis, carrier, hints)
    finally:
        hints.close()
        carrier.close()
        await redis.aclose()

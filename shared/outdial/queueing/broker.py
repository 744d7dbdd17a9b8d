"""The way to the broker, for workers and beat that outlive it."""

from typing import Any

from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.transport import redis as over_redis
from redis.exceptions import ConnectionError as RedisConnectionError


class ClosedChannelSaysSo(over_redis.Channel):
    """A channel whose connection is gone raises what everybody expects of a lost connection.

    kombu 5.7 raises AttributeError there. A worker that acknowledged or gave back a message after
    Redis had died took it for a fault of its own and ended.
    """

    def _connparams(self, asynchronous: bool = False) -> Any:
        if getattr(self.connection, "client", None) is None:
            raise RedisConnectionError("the connection to the broker is closed")
        return super()._connparams(asynchronous)  # type: ignore[no-untyped-call]


over_redis.Transport.Channel = ClosedChannelSaysSo


class PatientConnection(Connection):
    """Looks for a broker that is away every second or two.

    kombu's own steps grow to half a minute, in which Redis has been back for long.
    """

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        """As kombu's, and as often as it takes."""
        steps = {"interval_start": 1, "interval_step": 1, "interval_max": 2}
        return super().ensure_connection(*args, **{**steps, **kwargs})  # type: ignore[no-untyped-call]


class Broker(AMQP):  # type: ignore[misc]
    """What Celery makes connections, queues and messages with."""

    Connection = PatientConnection

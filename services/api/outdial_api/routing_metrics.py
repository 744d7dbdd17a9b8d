"""What scaling is decided by: the fleet as this gateway sees it, and what calls were told."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from outdial.observability import traces
from outdial.observability.metrics import ANSWERS, ANSWERS_DEGRADED
from outdial.operations.route_answered_call import Answered
from outdial.routing.pod_registry import PodView
from outdial.routing.router import Router


def count_answer(route: str, answered: Answered, holds: int) -> None:
    """Count one answer. `holds`: how often the caller was asked to wait before."""
    if answered.slot is not None:
        said = "connected"
    elif answered.holds is None:
        said = "other"  # the plan's own TwiML, or a call that is not to be talked to
    elif "<Redirect" not in answered.twiml:
        said = "goodbye"
    else:
        said = "held_again" if holds else "held"
    ANSWERS.labels(route, said).inc()
    pod = answered.slot.pod_id if answered.slot else None
    traces.note(said=said, pod=pod, degraded=answered.degraded, stream_no=answered.stream_no)
    if answered.degraded:
        ANSWERS_DEGRADED.inc()


class Fleet(Collector):
    """The last view of the pods, summed when it is asked for.

    Every gateway says the same: take the maximum over gateways, not the sum.
    """

    def __init__(self, router: Router) -> None:
        self._router = router

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing, so that registering asks no questions."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Pods by state; slots of those that are heard, by use."""
        pods = self._router.pods
        count = GaugeMetricFamily("outdial_pods", "Media pods, by state", labels=["state"])
        for state in ("ready", "draining", "out"):
            count.add_metric([state], sum(_state(pod) == state for pod in pods))
        yield count
        slots = GaugeMetricFamily("outdial_slots", "Room for conversations", labels=["kind"])
        ready = [pod for pod in pods if _state(pod) == "ready"]
        heard = [pod for pod in pods if not pod.is_out]
        slots.add_metric(["all"], sum(pod.slots for pod in ready))
        slots.add_metric(["free"], sum(max(0, pod.slots - pod.used) for pod in ready))
        slots.add_metric(["live"], sum(pod.live for pod in heard))
        slots.add_metric(["reserved"], sum(pod.reserved for pod in heard))
        slots.add_metric(["preparing"], sum(pod.preparing for pod in heard))
        yield slots


@contextmanager
def fleet_metrics(router: Router) -> Iterator[None]:
    """Show the fleet at `/metrics` as long as the block lasts."""
    fleet = Fleet(router)
    REGISTRY.register(fleet)
    try:
        yield
    finally:
        REGISTRY.unregister(fleet)


def _state(pod: PodView) -> str:
    return "out" if pod.is_out else pod.state

"""Media pods, as the registry sees them, and how one is taken out of work."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from outdial.domain.errors import NotFound
from outdial.routing.pod_registry import PodView, ask_to_drain, list_pods
from outdial_api import problems
from outdial_api.dependencies import OpenRuntime
from outdial_api.pages import Page
from outdial_api.security import Operator, Viewer

router = APIRouter(prefix="/v1/pods", tags=["pods"], responses=problems.RESPONSES)

PodId = Annotated[str, Path(max_length=253, pattern=r"^[A-Za-z0-9._-]+$")]


class PodStatus(BaseModel):
    """A process that holds conversations."""

    pod_id: str
    boot_id: str = Field(description="Another one after each restart.")
    url: str
    state: str = Field(description="ready | draining")
    is_out: bool = Field(description="Silent for too long: no calls are sent there.")
    slots: int
    reserved: int = Field(description="Slots of phones that ring.")
    live: int = Field(description="Slots of calls that go on.")
    preparing: int = Field(description="Conversations that are ready, or being made so.")
    labels: dict[str, str] = Field(description="What templates may ask for.")
    age_seconds: float = Field(description="Since its last heartbeat.")


class DrainAnswer(BaseModel):
    """The pod takes no new calls from now on."""

    pod_id: str
    state: str = "draining"


@router.get("")
async def list_all(runtime: OpenRuntime, _key: Viewer) -> Page[PodStatus]:
    """Every pod that was heard of lately."""
    return Page(items=[_status(pod) for pod in await list_pods(runtime.redis)], next_cursor=None)


@router.post("/{pod_id}/drain", responses={404: {"model": problems.Problem}})
async def drain(pod_id: PodId, runtime: OpenRuntime, _key: Operator) -> DrainAnswer:
    """Take a pod out of work: no new calls, none is cut.

    Calls that last longer than `OUTDIAL_DRAIN_SECONDS` go on at other pods. It stays so until it is
    started anew.
    """
    if not await ask_to_drain(runtime.redis, pod_id):
        raise NotFound(f"No pod called {pod_id} is heard.")
    return DrainAnswer(pod_id=pod_id)


def _status(pod: PodView) -> PodStatus:
    return PodStatus(
        pod_id=pod.pod_id,
        boot_id=pod.boot_id,
        url=pod.url,
        state=pod.state,
        is_out=pod.is_out,
        slots=pod.slots,
        reserved=pod.reserved,
        live=pod.live,
        preparing=pod.preparing,
        labels=dict(pod.labels),
        age_seconds=pod.age_seconds,
    )

"""Media pods, as the registry sees them."""

from fastapi import APIRouter
from outdial.routing.pod_registry import list_pods
from pydantic import BaseModel, Field

from outdial_api import problems
from outdial_api.dependencies import OpenRuntime
from outdial_api.pages import Page
from outdial_api.security import Viewer

router = APIRouter(prefix="/v1/pods", tags=["pods"], responses=problems.RESPONSES)


class PodStatus(BaseModel):
    """A process that holds conversations."""

    pod_id: str
    boot_id: str = Field(description="Another one after each restart.")
    url: str
    state: str = Field(description="ready | draining")
    slots: int
    reserved: int = Field(description="Slots of phones that ring.")
    live: int = Field(description="Slots of calls that go on.")
    age_seconds: float = Field(description="Since its last heartbeat.")


@router.get("")
async def list_all(runtime: OpenRuntime, _key: Viewer) -> Page[PodStatus]:
    """Every pod that was heard of lately."""
    pods = await list_pods(runtime.redis)
    items = [
        PodStatus(
            pod_id=pod.pod_id,
            boot_id=pod.boot_id,
            url=pod.url,
            state=pod.state,
            slots=pod.slots,
            reserved=pod.reserved,
            live=pod.live,
            age_seconds=pod.age_seconds,
        )
        for pod in pods
    ]
    return Page(items=items, next_cursor=None)

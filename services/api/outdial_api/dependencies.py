"""What routes are given.

Each is a coroutine function though it waits for nothing: FastAPI sends plain functions to a thread,
which costs a request more than all of its own work.
"""

from typing import Annotated

from fastapi import Depends, Request

from outdial.operations.gateway import Gateway
from outdial.operations.runtime import Runtime
from outdial_api.writing import Writing


async def runtime_of(request: Request) -> Runtime:
    """The stores, opened when the process started."""
    runtime: Runtime = request.app.state.runtime
    return runtime


async def gateway_of(request: Request) -> Gateway:
    """What is kept open for answers."""
    gateway: Gateway = request.app.state.gateway
    return gateway


async def writing_of(request: Request) -> Writing:
    """What is written after answers."""
    writing: Writing = request.app.state.writing
    return writing


OpenRuntime = Annotated[Runtime, Depends(runtime_of)]

"""What routes are given."""

from typing import Annotated

from fastapi import Depends, Request
from outdial.operations.runtime import Runtime


def runtime_of(request: Request) -> Runtime:
    """The stores, opened when the process started."""
    runtime: Runtime = request.app.state.runtime
    return runtime


OpenRuntime = Annotated[Runtime, Depends(runtime_of)]

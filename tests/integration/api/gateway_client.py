"""Clients of the gateway's application, without a server in between."""

import httpx
from fastapi import FastAPI

from outdial.operations.api_keys import Role, create_api_key
from outdial.operations.runtime import Runtime


async def client_of(app: FastAPI, stores: Runtime, role: Role) -> httpx.AsyncClient:
    """A client with a key of this role."""
    key = await create_api_key(stores.sessions, f"test {role}", role)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://api.test",
        headers={"Authorization": f"Bearer {key.secret}"},
    )

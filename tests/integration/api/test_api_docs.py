"""The documentation page: complete without internet, and the browser is let to ask nobody else."""

import re
from base64 import b64encode
from hashlib import sha256

import httpx
import pytest

pytestmark = pytest.mark.integration


async def test_all_that_the_page_names_is_here(api: httpx.AsyncClient) -> None:
    page = (await api.get("/docs", headers={"Authorization": ""})).text
    named = re.findall(r"""(?:src|href)=["']([^"']+)|\burl: ["']([^"']+)""", page)
    addresses = [address for pair in named for address in pair if address]
    assert "openapi.json" in addresses
    kinds = []
    for address in addresses:
        assert not re.match(r"/|\w+:", address), f"{address} is not below the page"
        answer = await api.get(f"/{address}", headers={"Authorization": ""})
        assert answer.status_code == 200, address
        kinds.append(answer.headers["content-type"].partition(";")[0])
    assert sorted(kinds) == ["application/json", "image/png", "text/css", "text/javascript"]
    assert "SwaggerUIBundle" in (await api.get("/docs/swagger-ui-bundle.js")).text


async def test_the_browser_is_told_to_ask_nobody_else(api: httpx.AsyncClient) -> None:
    page = await api.get("/docs")
    policy = {
        name: sources.split()
        for name, _, sources in (
            part.strip().partition(" ")
            for part in page.headers["content-security-policy"].split(";")
        )
    }
    assert policy["default-src"] == ["'none'"]
    hosts = [source for sources in policy.values() for source in sources if source[0] != "'"]
    assert hosts == ["data:"]
    assert "'unsafe-inline'" not in policy["script-src"]
    (inline,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    allowed = b64encode(sha256(inline.encode()).digest()).decode()
    assert policy["script-src"] == ["'self'", f"'sha256-{allowed}'"]


@pytest.mark.parametrize(
    "path", ["/redoc", "/docs/redoc.standalone.js", "/docs/..%2fcore.py", "/docs/oauth2-redirect"]
)
async def test_nothing_else_is_served(api: httpx.AsyncClient, path: str) -> None:
    answer = await api.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"

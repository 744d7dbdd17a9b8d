"""Every route, described and tried in a browser: Swagger UI, from this host alone.

FastAPI's own page loads its script from a CDN: it is blank without internet, and whoever answers
there could read the API key that is typed into it. These are the files of a locked wheel
(fastapi-offline, as npm has them in swagger-ui-dist), and the browser is told to ask nobody else.
"""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import fastapi_offline
from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse
from starlette.exceptions import HTTPException

router = APIRouter(include_in_schema=False)

_FOLDER = Path(fastapi_offline.__file__).parent / "static"
_SCRIPT, _STYLE, _ICON = "swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"
_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def _page() -> HTMLResponse:
    # Addresses are relative: the page also works behind an edge that adds a prefix.
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="Outdial: the REST API",
        swagger_js_url=f"docs/{_SCRIPT}",
        swagger_css_url=f"docs/{_STYLE}",
        swagger_favicon_url=f"docs/{_ICON}",
        swagger_ui_parameters={
            "persistAuthorization": True,
            "displayRequestDuration": True,
            "validatorUrl": None,  # a service of swagger.io's that would be sent the description
        },
    )
    inline = [
        f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
        for script in _INLINE.findall(bytes(page.body).decode())
    ]
    page.headers["Content-Security-Policy"] = "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' {' '.join(inline)}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    page.headers["X-Content-Type-Options"] = "nosniff"
    return page


_PAGE = _page()


@router.get("/docs")
async def docs() -> HTMLResponse:
    """The page."""
    return _PAGE


@router.get("/docs/{name}")
async def part_of_docs(name: str) -> FileResponse:
    """What the page is made of."""
    if name not in {_SCRIPT, _STYLE, _ICON}:
        raise HTTPException(404, "The documentation has no such part.")
    return FileResponse(_FOLDER / name, headers={"X-Content-Type-Options": "nosniff"})

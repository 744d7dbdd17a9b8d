"""A shop's own system, to try HTTP tools on: it knows when an order comes.

It has nothing to do with telephones; it stands here so that one sandbox is enough.
"""

import asyncio
import zlib

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TOKEN = "shop-token"  # noqa: S105 - the sandbox's door to try a secret on
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
_SLOWEST = 20.0


def shop_routes() -> list[Route]:
    """Everything under /sandbox/shop."""
    return [Route("/sandbox/shop/orders/{number}", _order, methods=["GET"])]


async def _order(request: Request) -> Response:
    """When an order comes; `?slow=` seconds late. An order whose number begins with 0 is unknown.

    `Authorization: Bearer shop-token` is asked for.
    """
    if request.headers.get("authorization") != f"Bearer {TOKEN}":
        return JSONResponse({"reason": "who are you?"}, 401)
    try:
        await asyncio.sleep(min(float(request.query_params.get("slow", 0)), _SLOWEST))
    except ValueError:
        return JSONResponse({"reason": "slow is a number of seconds"}, 422)
    number = request.path_params["number"]
    if number.startswith("0"):
        return JSONResponse({"reason": "no such order"}, 404)
    day = _DAYS[zlib.crc32(number.encode()) % len(_DAYS)]
    delivery = {"day": day, "between": ["9:00", "12:00"], "carrier": "Parcel Express"}
    return JSONResponse({"order": {"number": number, "status": "sent", "delivery": delivery}})

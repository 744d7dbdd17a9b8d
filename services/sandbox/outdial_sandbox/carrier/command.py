"""`python -m outdial_sandbox carrier`: its arguments, and how it runs."""

import argparse
import gc
import os
import re
import socket
from dataclasses import fields
from pathlib import Path

import uvicorn

from outdial_sandbox.carrier.app import build_carrier
from outdial_sandbox.carrier.config import OWNED_NUMBERS, CarrierConfig, NetworkSettings
from outdial_sandbox.carrier.faults import Faults
from outdial_sandbox.carrier.identifiers import sid_of
from outdial_sandbox.people.people import who_answers

DEFAULT_TOKEN = "sandbox-auth-token"  # noqa: S105 - opens nothing but the sandbox


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the carrier can be told."""
    env = os.environ
    sid = env.get("TWILIO_ACCOUNT_SID") or sid_of("AC", "outdial sandbox")
    token = env.get("TWILIO_AUTH_TOKEN") or DEFAULT_TOKEN
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8090, help="port; 0 takes a free one")
    parser.add_argument("--data", type=Path, default=Path("var/sandbox"), help="recordings go here")
    parser.add_argument(
        "--account-sid", default=sid, help="default: TWILIO_ACCOUNT_SID, or %(default)s"
    )
    parser.add_argument(
        "--auth-token", default=token, help="default: TWILIO_AUTH_TOKEN, or its own"
    )
    parser.add_argument("--calls-per-second", type=float, default=1.0)
    parser.add_argument("--ring-seconds", type=float, default=2.0, help="how long a phone rings")
    _add_network_arguments(parser)
    parser.add_argument(
        "--number", action="append", default=[], help="one more number of the account"
    )
    parser.add_argument(
        "--public-url", default="", help="where the carrier is reached from outside"
    )


def _add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """How the network behaves; all of it may be changed later by POST /sandbox/settings."""
    parser.add_argument(
        "--longest-ring-seconds", type=float, help="no phone rings longer, whatever Timeout says"
    )
    parser.add_argument(
        "--no-audio", action="store_true", help="nobody speaks, no media passes; calls are short"
    )
    parser.add_argument(
        "--talk-seconds",
        type=float,
        nargs=2,
        metavar=("LEAST", "MOST"),
        default=NetworkSettings.talk_seconds,
        help="how long a call without audio lasts",
    )
    parser.add_argument("--seed", type=int, default=1, help="of faults and calls without audio")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME=SHARE",
        help=f"what goes wrong, how often: {', '.join(item.name for item in fields(Faults))}",
    )
    parser.add_argument(
        "--action-on-hangup", action="store_true", help="post a stream's action on a hang-up, too"
    )
    parser.add_argument(
        "--action-on-update", action="store_true", help="and when REST gives the call other TwiML"
    )
    parser.add_argument(
        "--after-refused-stream", default="continue", help="continue, hangup or action"
    )


def run(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT. Raises ValueError for an argument that does not fit."""
    if not re.fullmatch(r"AC[0-9a-fA-F]{32}", arguments.account_sid):
        raise ValueError(
            f"--account-sid: AC and 32 hexadecimal digits, not {arguments.account_sid}"
        )
    settings = NetworkSettings().changed(
        {
            "calls_per_second": arguments.calls_per_second,
            "ring_seconds": arguments.ring_seconds,
            "longest_ring_seconds": arguments.longest_ring_seconds,
            "numbers": [*OWNED_NUMBERS, *arguments.number],
            "audio": not arguments.no_audio,
            "talk_seconds": list(arguments.talk_seconds),
            "action_on_hangup": arguments.action_on_hangup,
            "action_on_update": arguments.action_on_update,
            "after_refused_stream": arguments.after_refused_stream,
            "seed": arguments.seed,
            "faults": dict(map(_fault, arguments.fault)),
        }
    )
    listener = _listener(arguments.host, arguments.port)
    host = "127.0.0.1" if arguments.host in ("0.0.0.0", "") else arguments.host  # noqa: S104
    config = CarrierConfig(
        account_sid=arguments.account_sid,
        auth_token=arguments.auth_token,
        data=arguments.data,
        public_url=arguments.public_url.rstrip("/") or f"http://{host}:{listener.getsockname()[1]}",
    )
    app = build_carrier(config, settings, who_answers)
    print(f"carrier: {config.public_url} account {config.account_sid}", flush=True)
    gc.freeze()  # what is loaded now stays: collections in a call have less to look at
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=3,
            # Closing an idle connection just as a client asks again looks like a lost answer.
            timeout_keep_alive=75,
            ws="none",
        )
    )
    server.run(sockets=[listener])


def _fault(text: str) -> tuple[str, float]:
    name, _, share = text.partition("=")
    try:
        return name, float(share)
    except ValueError:
        raise ValueError(f"--fault: NAME=SHARE, such as callback_lost=0.1, not {text}") from None


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        raise ValueError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return listener

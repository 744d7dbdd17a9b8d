"""Which Outdial the command talks to, and whose key it shows."""

import os
from pathlib import Path

from dotenv import dotenv_values

from outdial_cli.api_client import ApiClient
from outdial_cli.failure import CommandFailedError
from outdial_cli.stack.options import StackPaths
from outdial_cli.stack.stack_file import StackInfo, read_stack_file

VAR = Path("var")


def running_stack() -> StackInfo | None:
    """The stack that a launcher in this folder started, if it runs."""
    return read_stack_file(StackPaths.under(VAR).stack_file)


def connect() -> ApiClient:
    """A client of OUTDIAL_API_URL with OUTDIAL_API_KEY, or of the stack in this folder.

    Raises:
        CommandFailedError: neither is there, or the address is none.

    """
    stack = running_stack()
    url = _setting("OUTDIAL_API_URL") or (stack.api_url if stack else "")
    key = _setting("OUTDIAL_API_KEY") or (stack.api_key if stack else "")
    if not url:
        raise CommandFailedError(
            "No Outdial found: no stack runs in this folder. Start one with `outdial up --sandbox` "
            "(or cd to where it runs), or set OUTDIAL_API_URL and OUTDIAL_API_KEY."
        )
    if not key:
        raise CommandFailedError(
            "OUTDIAL_API_KEY is not set: give it a key made with `outdial key create`."
        )
    if not url.startswith(("http://", "https://")):
        raise CommandFailedError(
            f"OUTDIAL_API_URL is {url}: write it with http:// or https:// before it."
        )
    return ApiClient(url, key)


def database_url() -> str:
    """DATABASE_URL, or the database of the stack in this folder.

    Raises:
        CommandFailedError: neither is there.

    """
    stack = running_stack()
    found = _setting("DATABASE_URL") or (stack.postgres if stack else "")
    if not found:
        raise CommandFailedError(
            "No database found: set DATABASE_URL, or start a stack here with `outdial up`."
        )
    return found


def _setting(name: str) -> str:
    return os.environ.get(name) or dotenv_values(".env").get(name) or ""

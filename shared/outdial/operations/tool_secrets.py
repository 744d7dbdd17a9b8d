"""Secrets that a template's headers may name: from the environment, or from a mounted file.

`secret:ORDERS` is OUTDIAL_TOOL_SECRET_ORDERS, or the content of the file that
OUTDIAL_TOOL_SECRET_ORDERS_FILE names. With OUTDIAL_TOOL_SECRET_ORDERS_HOSTS=api.example.com the
secret goes to no other host, whatever a template says. The values stand in no template, log or
transcript.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from outdial.domain.placeholders import fill
from outdial.operations.check_tools import SECRET

REDACTED = "[secret]"


class SecretMissing(Exception):
    """A secret is not set here, or not for this host; the message names it."""


@dataclass(frozen=True)
class FilledHeaders:
    """Headers as they are sent, and the secrets in them (to be taken out of what comes back)."""

    headers: dict[str, str]
    secrets: tuple[str, ...]

    def redact(self, text: str) -> str:
        """`text` without the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, REDACTED)
        return text


def fill_headers(
    headers: Mapping[str, str],
    values: Mapping[str, object],
    host: str,
    environment: Mapping[str, str] = os.environ,
) -> FilledHeaders:
    """Put secrets and values in their places; a value never names a secret.

    Raises:
        SecretMissing: one is not to be had, or not for `host`.

    """
    filled, secrets = {}, []
    for name, value in headers.items():
        found = SECRET.fullmatch(value)
        if found is None:
            filled[name] = fill(value, values)
            continue
        secret = _read(found.group(1), host, environment)
        secrets.append(secret)
        filled[name] = value[: found.start(1)].removesuffix("secret:") + secret
    return FilledHeaders(filled, tuple(secrets))


def _read(name: str, host: str, environment: Mapping[str, str]) -> str:
    variable = f"OUTDIAL_TOOL_SECRET_{name}"
    hosts = environment.get(f"{variable}_HOSTS", "")
    if hosts and host.lower() not in {part.strip().lower() for part in hosts.split(",")}:
        raise SecretMissing(f"{variable} is not for {host} ({variable}_HOSTS)")
    value = environment.get(variable, "")
    if not value and (path := environment.get(f"{variable}_FILE")):
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SecretMissing(f"{variable}_FILE: {type(error).__name__}") from None
    if not value:
        raise SecretMissing(f"{variable} is not set")
    if not (value.isascii() and value.isprintable()):
        raise SecretMissing(f"{variable} is not one line of plain text")
    return value

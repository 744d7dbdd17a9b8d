"""The environment of each child: every setting by name; it looks for no file of its own."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from dotenv import dotenv_values

from outdial.observability.trace_setup import read_env_file
from outdial.settings import Settings, variable_name

# A pod's models and numpy would each start a thread a core, and fight over the cores.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)

SANDBOX_CALLER = "+15005550006"


@dataclass(frozen=True)
class SandboxKeys:
    """Credentials that only the sandbox and this stack know; made anew at each start."""

    account_sid: str = field(default_factory=lambda: f"AC{secrets.token_hex(16)}")
    auth_token: str = field(default_factory=lambda: secrets.token_hex(16))
    deepgram: str = field(default_factory=lambda: secrets.token_hex(20))
    groq: str = field(default_factory=lambda: f"gsk_{secrets.token_hex(20)}")


_SECRETS = ("OUTDIAL_TOOL_SECRET_", "OUTDIAL_MODEL_KEY_", "OUTDIAL_VOICE_SECRET_")
"""What templates name by a part of the variable: no setting, and nothing that the stack makes."""


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` less everything that Outdial reads, but for the secrets that templates name."""
    names = {*map(variable_name, Settings.model_fields), "LOCAL_SERVER_URL"}
    return {
        key: value
        for key, value in environment.items()
        if key.startswith(_SECRETS) or (key not in names and not key.startswith("OUTDIAL_"))
    }


def plain(settings: Settings) -> dict[str, str]:
    """`settings` as environment variables: what was set, from wherever it came."""
    found: dict[str, str] = {}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        text = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        found[variable_name(name)] = text
    return found


def base() -> dict[str, str]:
    """What every child has."""
    read_env_file()  # whom traces go to
    kept = {
        key: value
        for key, value in dotenv_values(".env").items()
        if key.startswith(_SECRETS) and value
    }
    return {**kept, **without_settings(os.environ), **_ONE_THREAD, "PYTHONUNBUFFERED": "1"}


def sandbox_settings(keys: SandboxKeys, carrier_url: str, providers_url: str) -> dict[str, str]:
    """Point every provider at the sandbox: only the addresses tell it from the real one."""
    return {
        "TWILIO_ACCOUNT_SID": keys.account_sid,
        "TWILIO_AUTH_TOKEN": keys.auth_token,
        "TWILIO_PHONE_NUMBER": SANDBOX_CALLER,
        "TWILIO_API_BASE_URL": carrier_url,
        "DEEPGRAM_API_KEY": keys.deepgram,
        "DEEPGRAM_BASE_URL": providers_url,
        "GROQ_API_KEY": keys.groq,
        "GROQ_BASE_URL": providers_url,
        # The sandbox's shop, for templates with tools of their own, stands on this machine.
        "OUTDIAL_HTTP_TOOLS_ALLOW": "127.0.0.1",
        "OUTDIAL_TOOL_SECRET_SANDBOX_SHOP": "shop-token",
    }

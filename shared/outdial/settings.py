"""Settings: one typed object, read once at start from the environment or `.env`.

Names that people already have (`TWILIO_*`, `DEEPGRAM_*`, `GROQ_*`, `DATABASE_URL`, `REDIS_URL`,
`PUBLIC_URL`) keep them; ours begin with `OUTDIAL_`. `load_settings()` is the only door: it raises
`SettingsError`, whose message is one line a problem, each naming the variable and what to do.
"""

import socket
from functools import cached_property
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from outdial.domain.internet_address import read_allow_list
from outdial.settings_that_fit import misfits

Seconds = Annotated[float, Field(gt=0)]


class SettingsError(Exception):
    """The environment does not hold a usable set of settings. The message says what to change."""


class Settings(BaseSettings):
    """Every setting of every service. Units stand in the names; times are seconds."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        populate_by_name=True,
    )

    # The carrier.
    twilio_account_sid: str = Field(default="", validation_alias="TWILIO_ACCOUNT_SID")
    twilio_auth_token: SecretStr = Field(
        default=SecretStr(""), validation_alias="TWILIO_AUTH_TOKEN"
    )
    twilio_phone_number: str = Field(default="", validation_alias="TWILIO_PHONE_NUMBER")
    twilio_api_base_url: str = Field(
        default="https://api.twilio.com", validation_alias="TWILIO_API_BASE_URL"
    )

    # Speech and language.
    deepgram_api_key: SecretStr = Field(default=SecretStr(""), validation_alias="DEEPGRAM_API_KEY")
    deepgram_base_url: str = Field(
        default="https://api.deepgram.com", validation_alias="DEEPGRAM_BASE_URL"
    )
    groq_api_key: SecretStr = Field(default=SecretStr(""), validation_alias="GROQ_API_KEY")
    groq_base_url: str = Field(default="https://api.groq.com", validation_alias="GROQ_BASE_URL")
    groq_model: str = Field(default="openai/gpt-oss-120b", validation_alias="GROQ_MODEL")

    # OpenAI-compatible APIs of the operator's own, by the names that templates use for them:
    # "vllm=http://10.0.0.5:8000/v1". Their keys are OUTDIAL_MODEL_KEY_VLLM and so on.
    model_endpoints: str = Field(default="", validation_alias="OUTDIAL_MODEL_ENDPOINTS")

    # Stores.
    database_url: str = Field(default="", validation_alias="DATABASE_URL")
    redis_url: str = Field(default="", validation_alias="REDIS_URL")

    # Where the carrier reaches us.
    public_url: str = Field(
        default="", validation_alias=AliasChoices("PUBLIC_URL", "LOCAL_SERVER_URL")
    )
    fallback_url: str = Field(default="", validation_alias="OUTDIAL_FALLBACK_URL")
    routing: Literal["dynamic", "static"] = Field(
        default="dynamic", validation_alias="OUTDIAL_ROUTING"
    )
    static_stream_url: str = Field(default="", validation_alias="OUTDIAL_STATIC_STREAM_URL")

    # Secrets of our own: signs stream tokens.
    secret_key: SecretStr = Field(default=SecretStr(""), validation_alias="OUTDIAL_SECRET_KEY")

    # Pace and limits.
    calls_per_second: float = Field(default=1.0, gt=0, validation_alias="OUTDIAL_CALLS_PER_SECOND")
    max_live_calls: int = Field(default=100, ge=1, validation_alias="OUTDIAL_MAX_LIVE_CALLS")

    # How often one number may be called, by all campaigns together; 0: no limit.
    max_attempts_per_day: int = Field(
        default=10, ge=0, validation_alias="OUTDIAL_MAX_ATTEMPTS_PER_DAY"
    )
    max_attempts_per_week: int = Field(
        default=30, ge=0, validation_alias="OUTDIAL_MAX_ATTEMPTS_PER_WEEK"
    )
    rest_days_after_conversation: float = Field(
        default=0, ge=0, validation_alias="OUTDIAL_REST_DAYS_AFTER_CONVERSATION"
    )

    # Internal hosts and networks that templates' HTTP tools may reach all the same.
    http_tools_allow: str = Field(default="", validation_alias="OUTDIAL_HTTP_TOOLS_ALLOW")

    # The numbers that calls come from.
    max_live_per_caller_number: int = Field(
        default=0, ge=0, validation_alias="OUTDIAL_MAX_LIVE_PER_CALLER_NUMBER"
    )
    caller_number_rest_seconds: float = Field(
        default=0, ge=0, validation_alias="OUTDIAL_CALLER_NUMBER_REST_SECONDS"
    )

    # Numbers that fit together (docs/architecture.md, "Times"): start refuses a set that does not.
    claim_lease_seconds: Seconds = Field(default=30, validation_alias="OUTDIAL_CLAIM_LEASE_SECONDS")
    post_timeout_seconds: Seconds = Field(
        default=10, validation_alias="OUTDIAL_POST_TIMEOUT_SECONDS"
    )
    # The intent is committed so long before its departure, so that the POST leaves on time.
    departure_notice_seconds: float = Field(
        default=0.4, ge=0, validation_alias="OUTDIAL_DEPARTURE_NOTICE_SECONDS"
    )
    post_too_late_seconds: Seconds = Field(
        default=2, validation_alias="OUTDIAL_POST_TOO_LATE_SECONDS"
    )
    unknown_after_seconds: Seconds = Field(
        default=15, validation_alias="OUTDIAL_UNKNOWN_AFTER_SECONDS"
    )
    unknown_spent_after_seconds: Seconds = Field(
        default=600, validation_alias="OUTDIAL_UNKNOWN_SPENT_AFTER_SECONDS"
    )
    ring_timeout_seconds: int = Field(
        default=30, ge=5, le=600, validation_alias="OUTDIAL_RING_TIMEOUT_SECONDS"
    )
    silent_attempt_seconds: Seconds = Field(
        default=60, validation_alias="OUTDIAL_SILENT_ATTEMPT_SECONDS"
    )
    heartbeat_seconds: Seconds = Field(default=1, validation_alias="OUTDIAL_HEARTBEAT_SECONDS")
    pod_out_after_seconds: Seconds = Field(
        default=3, validation_alias="OUTDIAL_POD_OUT_AFTER_SECONDS"
    )
    live_slot_lease_seconds: Seconds = Field(
        default=5, validation_alias="OUTDIAL_LIVE_SLOT_LEASE_SECONDS"
    )
    hold_seconds: Seconds = Field(default=3, validation_alias="OUTDIAL_HOLD_SECONDS")
    hold_times: int = Field(default=3, ge=1, validation_alias="OUTDIAL_HOLD_TIMES")
    resumes: int = Field(default=2, ge=0, validation_alias="OUTDIAL_RESUMES")
    closing_pass_seconds: Seconds = Field(
        default=8, validation_alias="OUTDIAL_CLOSING_PASS_SECONDS"
    )
    settle_anyway_seconds: Seconds = Field(
        default=15, validation_alias="OUTDIAL_SETTLE_ANYWAY_SECONDS"
    )
    store_patience_seconds: Seconds = Field(
        default=0.3, validation_alias="OUTDIAL_STORE_PATIENCE_SECONDS"
    )

    # A media pod.
    pod_id: str = Field(default="pod-1", validation_alias="OUTDIAL_POD_ID")
    pod_slots: int = Field(default=8, ge=1, validation_alias="OUTDIAL_POD_SLOTS")
    # Behind an edge that leads /pods/{pod} to that pod, its address follows from the gateway's.
    pod_public_url: str = Field(
        default_factory=lambda given: socket_of_pod(
            given.get("public_url", ""), given.get("pod_id", "")
        ),
        validation_alias="OUTDIAL_POD_PUBLIC_URL",
    )
    pod_address: str = Field(default="", validation_alias="OUTDIAL_POD_ADDRESS")
    pod_labels: str = Field(default="", validation_alias="OUTDIAL_POD_LABELS")
    # Connections to Deepgram that this pod may hold, to listen and to speak; 0: no limit of ours.
    provider_sockets: int = Field(default=0, ge=0, validation_alias="OUTDIAL_PROVIDER_SOCKETS")
    drain_seconds: Seconds = Field(default=600, validation_alias="OUTDIAL_DRAIN_SECONDS")

    # Listening addresses, logs, files.
    host: str = Field(default="127.0.0.1", validation_alias="OUTDIAL_HOST")
    port: int = Field(default=8000, ge=0, le=65535, validation_alias="OUTDIAL_PORT")
    workers_metrics_port: int = Field(
        default=0, ge=0, le=65535, validation_alias="OUTDIAL_WORKERS_METRICS_PORT"
    )
    log_format: Literal["json", "text"] = Field(
        default="json", validation_alias="OUTDIAL_LOG_FORMAT"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", validation_alias="OUTDIAL_LOG_LEVEL"
    )

    @field_validator(
        "public_url",
        "fallback_url",
        "twilio_api_base_url",
        "deepgram_base_url",
        "groq_base_url",
        "pod_public_url",
        "pod_address",
        "static_stream_url",
    )
    @classmethod
    def _url(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https", "ws", "wss"} or not parts.netloc:
            raise ValueError("is not a URL: write it with its scheme, like https://host.example")
        return value.rstrip("/")

    @field_validator("http_tools_allow")
    @classmethod
    def _allow_list(cls, value: str) -> str:
        read_allow_list(value)
        return value

    @field_validator("model_endpoints")
    @classmethod
    def _endpoints(cls, value: str) -> str:
        read_endpoints(value)
        return value

    @field_validator("pod_labels")
    @classmethod
    def _labels(cls, value: str) -> str:
        read_labels(value)
        return value

    @model_validator(mode="after")
    def _times_fit(self) -> Self:
        if problems := misfits(self):
            raise ValueError("; ".join(problems))
        return self

    @property
    def time_limit_margin_seconds(self) -> int:
        """Added to a template's longest call to make Twilio's `TimeLimit`."""
        return 120

    @property
    def reserved_slot_lease_seconds(self) -> float:
        """How long a slot may stay reserved for a phone that rings."""
        return self.post_timeout_seconds + self.ring_timeout_seconds + 20

    @property
    def labels(self) -> dict[str, str]:
        """Labels of this pod, which templates may ask for."""
        return read_labels(self.pod_labels)

    @property
    def pod_health_url(self) -> str:
        """Where the deployment's own processes ask whether this pod lives, past any front door."""
        everywhere = self.host in {"0.0.0.0", "::", ""}  # noqa: S104 - compared, not bound
        host = socket.gethostname() if everywhere else self.host
        return f"{self.pod_address or f'http://{host}:{self.port}'}/health"

    @cached_property
    def stream_secret(self) -> bytes:
        """The key that signs stream tokens: the setting, or one derived from the auth token."""
        secret = self.secret_key.get_secret_value() or self.twilio_auth_token.get_secret_value()
        return f"outdial-stream:{secret}".encode()


def socket_of_pod(public_url: str, pod_id: str) -> str:
    """Where a pod's sockets are when it shares the gateway's host; "" without a `public_url`."""
    if not public_url:
        return ""
    parts = urlsplit(public_url)
    scheme = "wss" if parts.scheme in {"https", "wss"} else "ws"
    return urlunsplit((scheme, parts.netloc, f"{parts.path.rstrip('/')}/pods/{pod_id}", "", ""))


def read_endpoints(text: str) -> dict[str, str]:
    """`vllm=http://10.0.0.5:8000/v1,other=https://...` as addresses by name.

    Raises:
        ValueError: a part is not `name=URL`.

    """
    found = read_labels(text)
    for name, url in found.items():
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ValueError(f"{name!r} has no URL: write {name}=https://host.example/v1")
    return found


def read_labels(text: str) -> dict[str, str]:
    """`zone=eu,gpu=yes` as a mapping.

    Raises:
        ValueError: a part is not `name=value`.

    """
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise ValueError(f"{part!r} is not a label: write zone=eu,gpu=yes")
        found[name] = value
    return found


REQUIRED: dict[str, tuple[str, ...]] = {
    "api": ("database_url", "redis_url", "public_url", "twilio_account_sid", "twilio_auth_token"),
    "workers": (
        "database_url",
        "redis_url",
        "public_url",
        "twilio_account_sid",
        "twilio_auth_token",
    ),
    "media": (
        "database_url",
        "redis_url",
        "pod_public_url",
        "twilio_auth_token",
        "deepgram_api_key",
        "groq_api_key",
    ),
    "cli": (),
}
"""What each service cannot start without."""

_HINTS: dict[str, str] = {
    "database_url": "postgresql://user:password@host:5432/outdial",
    "redis_url": "redis://host:6379/0",
    "public_url": "the https address at which Twilio reaches this gateway",
    "twilio_account_sid": "the Account SID (AC...) from the Twilio console",
    "twilio_auth_token": "the Auth Token from the Twilio console",
    "deepgram_api_key": "an API key from the Deepgram console",
    "groq_api_key": "an API key from the Groq console",
    "pod_public_url": "the wss address at which Twilio reaches this pod (or set PUBLIC_URL)",
}


def variable_name(field: str) -> str:
    """The environment variable that sets `field`."""
    alias = Settings.model_fields[field].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else str(alias or field)


def load_settings(service: str = "cli") -> Settings:
    """Read and check the settings of `service` (a key of `REQUIRED`).

    Raises:
        SettingsError: one line for each missing or malformed variable.

    """
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = [e for e in error.errors() if e["type"] != "default_factory_not_called"]
        raise SettingsError("\n".join(_explain(e["loc"], e["msg"]) for e in wrong)) from None
    missing = [name for name in REQUIRED[service] if not _text(getattr(settings, name))]
    if missing:
        raise SettingsError(
            "\n".join(f"{variable_name(n)} is not set: give it {_HINTS[n]}" for n in missing)
        )
    return settings


def _explain(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    if not location:
        return text
    field = str(location[0])
    name = variable_name(field) if field in Settings.model_fields else field
    return f"{name}: {text}"


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

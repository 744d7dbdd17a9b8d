"""A template is a kind of call. These are its parts, as plain values with their defaults.

`operations/parse_template.py` reads YAML or JSON into them and explains what does not fit.
Durations are in the unit that the name says; cooldowns are seconds.
"""

from dataclasses import dataclass, field
from typing import Literal

ToolName = Literal[
    "end_call",
    "record_outcome",
    "opt_out",
    "schedule_callback",
    "transfer_to_human",
    "wrong_person",
    "voicemail_reached",
    "send_digits",
]

DEFAULT_TOOLS: tuple[ToolName, ...] = (
    "end_call",
    "record_outcome",
    "opt_out",
    "schedule_callback",
    "wrong_person",
    "voicemail_reached",
)


@dataclass(frozen=True)
class Idle:
    """What the agent says into silence: one prompt after each `seconds`, then goodbye."""

    seconds: float = 5.0
    prompts: tuple[str, ...] = ("Hello? Are you still there?", "I can't hear you.")
    goodbye: str = "I'll try again another time. Goodbye."


@dataclass(frozen=True)
class Agent:
    """Who speaks, and about what. `greeting` and `prompt` may name variables as `{{name}}`."""

    name: str
    greeting: str
    prompt: str
    first_turn: Literal["agent", "model", "person"] = "agent"
    idle: Idle = field(default_factory=Idle)
    max_minutes: float = 5.0


@dataclass(frozen=True)
class Voicemail:
    """What happens when a machine answers. `script` may name variables."""

    mode: Literal["leave_message", "hang_up"] = "hang_up"
    script: str = ""


@dataclass(frozen=True)
class Amd:
    """Answering-machine detection: beside the conversation (async) or not at all."""

    enabled: bool = True
    timeout_seconds: int = 30


@dataclass(frozen=True)
class HttpRequest:
    """A request to a system of the operator's own. `{{name}}` is an argument or a variable.

    A header may take a secret from the environment: `Bearer secret:NAME`. Without `body`, a method
    that has one sends the arguments as JSON. `filler` is said when the answer takes its time.
    """

    url: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, object] | None = None
    timeout_seconds: float = 5.0
    filler: str = ""


@dataclass(frozen=True)
class HttpAnswer:
    """What is kept of an answer: `fields` by dotted paths (empty: all of it), and how much."""

    fields: dict[str, str] = field(default_factory=dict)
    max_length: int = 2000


@dataclass(frozen=True)
class HttpTool:
    """A tool of the template's own; `parameters` is JSON Schema."""

    name: str
    description: str
    http: HttpRequest
    parameters: dict[str, object] = field(
        default_factory=lambda: {"type": "object", "properties": {}}
    )
    answer: HttpAnswer = field(default_factory=HttpAnswer)


Scalar = str | bool | int | float


@dataclass(frozen=True)
class Lookup:
    """A question to a system of the operator's own before each dial; no `http.url`, no lookup.

    `variables` are dotted paths into the JSON answer. One that is in `defaults` may be missing
    there; without the others the lookup has failed. Then, with `call_anyway`, each is what the lead
    brings under its name, or else its default. A value at `do_not_call_if` that is true ends the
    lead.
    """

    http: HttpRequest = field(default_factory=lambda: HttpRequest(url=""))
    variables: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, Scalar] = field(default_factory=dict)
    do_not_call_if: str = ""
    on_failure: Literal["call_anyway", "do_not_call"] = "call_anyway"

    @property
    def is_wanted(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self.http.url)


@dataclass(frozen=True)
class Transfer:
    """Who is dialed when the person asks for a human; no `number`, no transfer.

    `whisper` is told to the human before they meet. If nobody comes, the agent takes the call back
    and says `fallback`; empty: that nobody is free, in the template's language. Without `caller_id`
    the human sees the number that the call was made from.
    """

    number: str = ""
    caller_id: str = ""
    whisper: str = ""
    timeout_seconds: int = 30
    fallback: str = ""


@dataclass(frozen=True)
class ServiceChoice:
    """A service of Pipecat: a short name (`cartesia`) or the path of its class, and its settings.

    Keys and addresses are `secret:NAME`, from the pods' environment (`voice_services.py`).
    """

    service: str
    settings: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Voice:
    """Which models hear, think and speak, and which ones take over when they do not.

    A bare name is a model of Deepgram's (`stt`, `tts`) or of Groq's (`llm`). Without a second one
    the first is asked once more, on a new connection. `llm_service` is a name of
    OUTDIAL_MODEL_ENDPOINTS, an OpenAI-compatible API that the operator has set; empty: Groq.
    """

    stt: str | ServiceChoice = "nova-3"
    llm: str | ServiceChoice = ""  # empty: GROQ_MODEL
    tts: str | ServiceChoice = "aura-2-thalia-en"
    llm_service: str = ""
    second_llm: str | ServiceChoice = ""
    second_llm_service: str = ""
    second_tts: str | ServiceChoice = ""
    noise_filter: Literal["", "rnnoise"] = ""


@dataclass(frozen=True)
class Patience:
    """How long providers may take, and what is said meanwhile (empty: words of the language).

    The next model is asked after `first_token_ms` without a word, the other voice speaks after
    `first_audio_ms` without a sound, and `filler` is said after so much silence since the person's
    last sound. When nothing helps, `apology` ends the call, and the lead is tried again.
    """

    first_token_ms: int = 2500
    first_audio_ms: int = 1500
    filler_after_ms: int = 1500
    filler: str = ""
    apology: str = ""


@dataclass(frozen=True)
class Turns:
    """Turn-taking, tuned for 8 kHz telephone speech."""

    vad_threshold: float = 0.6
    start_ms: int = 100
    silence_ms: int = 250  # then the turn's end is judged; a judge trained on short silences
    smart_turn: bool = True
    smart_turn_max_ms: int = 1200  # the longest wait after a turn that sounds unfinished
    eager_answers: bool = True  # a whole sentence is answered while it is still waited on
    # What is said over the agent without wanting the floor; None: its language's.
    backchannels: tuple[str, ...] | None = None
    backchannel_ms: int = 1000  # a voice over the agent that is longer interrupts it


@dataclass(frozen=True)
class Cooldowns:
    """Seconds until the next attempt, by reason."""

    busy: int = 300
    no_answer: int = 3600
    declined: int = 3600
    failed: int = 600
    canceled: int = 600
    machine: int = 7200
    technical_failure: int = 300
    hung_up: int = 3600
    silent: int = 3600


@dataclass(frozen=True)
class Retry:
    """When to call again.

    `max_retries` counts retries after the first attempt over the whole lead; `per_contact` bounds
    the attempts of one contact (None: only `max_retries` does). Outcomes in `next_contact_on`
    move to the next contact at once; those in `finish_on` finish the lead; the others in
    `Cooldowns` retry.
    """

    max_retries: int = 2
    per_contact: int | None = None
    cooldowns: Cooldowns = field(default_factory=Cooldowns)
    next_contact_on: tuple[str, ...] = ("invalid_number", "wrong_person", "fax")
    finish_on: tuple[str, ...] = (
        "completed",
        "hung_up",
        "opted_out",
        "transferred",
        "voicemail_left",
    )
    window_hours: float | None = None  # no attempt later than this after the lead's first one
    max_callback_days: int = 30  # the furthest day that a person may ask for


@dataclass(frozen=True)
class Hours:
    """When a person may be called, in their own time. Windows are `HH:MM-HH:MM` per weekday.

    An empty table means every hour of every day, less what the other keys take away.
    """

    weekdays: dict[str, tuple[str, ...]] = field(default_factory=dict)
    closed_dates: tuple[str, ...] = ()  # ISO dates
    holidays: tuple[str, ...] = ()  # calendars of domain/holidays.py
    jurisdictions: tuple[str, ...] = ()  # of domain/jurisdictions.py; all of them hold
    spread_minutes: float = 10.0  # leads that wait for an opening start within so long after it
    require_timezone: bool = False  # refuse numbers whose zone is not known

    def __hash__(self) -> int:
        """By value, the table included: what follows from hours is kept by them."""
        table = tuple((day, tuple(windows)) for day, windows in sorted(self.weekdays.items()))
        return hash((table, self.closed_dates, self.holidays, self.jurisdictions))


@dataclass(frozen=True)
class Limits:
    """How often one number may be called, by anybody in the deployment (None: no limit of its own).

    Counted are attempts that disturbed the person, over the last 24 hours and seven days. A time
    that the person asked for is kept although they rest after the conversation.
    """

    attempts_per_day: int | None = None
    attempts_per_week: int | None = None
    rest_days_after_conversation: float | None = None


@dataclass(frozen=True)
class Pods:
    """Which media pods hold these calls: those that carry all of `labels`.

    When none of them has room, `spill` lets another pod take the call; without it the lead waits.
    """

    labels: dict[str, str] = field(default_factory=dict)
    spill: bool = True


@dataclass(frozen=True)
class CallTemplate:
    """One version of a kind of call."""

    slug: str
    agent: Agent
    language: str = "en-US"
    tools: tuple[ToolName | HttpTool, ...] = DEFAULT_TOOLS
    outcome_schema: dict[str, object] = field(default_factory=lambda: {"type": "object"})
    lookup: Lookup = field(default_factory=Lookup)
    transfer: Transfer = field(default_factory=Transfer)
    voicemail: Voicemail = field(default_factory=Voicemail)
    amd: Amd = field(default_factory=Amd)
    voice: Voice = field(default_factory=Voice)
    turns: Turns = field(default_factory=Turns)
    patience: Patience = field(default_factory=Patience)
    retry: Retry = field(default_factory=Retry)
    hours: Hours = field(default_factory=Hours)
    limits: Limits = field(default_factory=Limits)
    recording: bool = True
    prepare: Literal["none", "light", "full"] = "full"
    pods: Pods = field(default_factory=Pods)

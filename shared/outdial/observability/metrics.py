"""What the dialer counts. Names end in their unit; labels have few values, never an id."""

from prometheus_client import Counter, Histogram

HINTS_DROPPED = Counter(
    "outdial_hints_dropped", "Hints that were not published; a sweep finds the work", ["task"]
)
CLAIMED = Counter("outdial_leads_claimed", "Leads bound to an attempt")
REFUSED = Counter("outdial_leads_refused", "Leads not dialed when they came up", ["reason"])
CLOSED = Counter(
    "outdial_campaigns_closed", "Campaigns whose leads were left alone until a time", ["reason"]
)
PLACED = Counter("outdial_attempts_placed", "What became of attempts to dial", ["result"])
ENDED = Counter("outdial_attempts_ended", "Attempts that ended", ["outcome"])
PAUSED = Counter("outdial_campaigns_paused", "Campaigns that an error of ours stopped", ["code"])
SET_ASIDE = Counter("outdial_numbers_set_aside", "Caller numbers that call no more", ["reason"])
MENDED = Counter("outdial_mended", "What sweeps found and mended", ["sweep"])
SWEEP_FAILURES = Counter("outdial_sweep_failures", "Sweeps that raised", ["sweep"])
DISPATCH_SECONDS = Histogram("outdial_dispatch_seconds", "How long a dispatch took")
DEPARTURE_WAIT_SECONDS = Histogram(
    "outdial_departure_wait_seconds",
    "How long attempts waited for their dial token",
    buckets=(0.01, 0.05, 0.1, 0.3, 0.5, 1, 2, 5, 10),
)
LATE_DEPARTURES = Counter(
    "outdial_late_departures", "Calls that left over 5 ms after the moment that was theirs"
)

LOOKUP_SECONDS = Histogram(
    "outdial_lookup_seconds",
    "How long templates' lookups took before a call: `found`, `failed`, `says_no`",
    ["status"],
    buckets=(0.05, 0.1, 0.3, 1, 2, 5, 10, 15),
)

ANSWERS = Counter(
    "outdial_answers",
    "What calls were told when they asked where to go: the share of `held` among the first answers "
    "of `voice` is that of people who ever heard the hold",
    ["route", "said"],
)
ANSWER_SECONDS = Histogram(
    "outdial_answer_seconds",
    "From Twilio's question to our TwiML",
    ["route"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 0.6, 1, 2, 5),
)
EVENTS_DROPPED = Counter(
    "outdial_answer_events_dropped",
    "Facts about answers that were not written: Postgres `away` too long, or an `error` of ours",
    ["why"],
)
ANSWERS_DEGRADED = Counter("outdial_answers_degraded", "Answers made without one of the stores")
REASSIGNED = Counter(
    "outdial_calls_reassigned", "Calls that were answered on another pod than the one reserved"
)
MOVED = Counter(
    "outdial_calls_moved",
    "Calls that a pod lost or left, or that nobody took over: `resumed`, `no_room`, `given_up`",
    ["why", "result"],
)
SPANS_DROPPED = Counter(
    "outdial_spans_dropped", "Spans that no collector took: traces have holes, calls have none"
)

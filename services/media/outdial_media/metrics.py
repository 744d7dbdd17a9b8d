"""What a pod measures of itself, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)

slots = Gauge("outdial_pod_slots", "Conversations that this process takes at once")
reserved_slots = Gauge("outdial_pod_reserved_slots", "Slots held for phones that ring")
draining = Gauge("outdial_pod_draining", "1 when it takes no new calls")
live_calls = Gauge("outdial_pod_live_calls", "Conversations that go on now")
prepared_calls = Gauge("outdial_pod_prepared_calls", "Pipelines ready for calls that still ring")
calls = Counter("outdial_pod_calls", "Conversations that ended", ["ended_by", "reason"])
refused = Counter("outdial_pod_refused_sockets", "Media sockets that were not let in", ["reason"])
stream_start = Histogram(
    "outdial_pod_stream_start_seconds", "From the TwiML to Twilio's `start`", buckets=_SECONDS
)
first_audio = Histogram(
    "outdial_pod_first_audio_seconds", "From `start` to the first sound sent", buckets=_SECONDS
)
reply = Histogram(
    "outdial_pod_reply_seconds",
    "From the person's last sound to the first sound of the reply",
    buckets=_SECONDS,
)
fillers = Counter("outdial_pod_fillers", "Waits for an answer that were covered with words")
held = Counter(
    "outdial_pod_held",
    "Voices over the agent's, by what they were: backchannel, noise, interruption, nothing",
    ["voice"],
)
eager_answers = Counter(
    "outdial_pod_eager_answers",
    "Answers asked for before a turn was over, by what became of them: kept, thrown_away",
    ["became"],
)
provider_replacements = Counter(
    "outdial_pod_provider_replacements",
    "Failures of providers after which another one, or another connection, did the work",
    ["provider"],
)
turn_steps = Histogram(
    "outdial_pod_turn_step_seconds",
    "From the person's last sound to each step of the reply",
    ["step"],
    buckets=_SECONDS,
)
provider_sockets = Gauge(
    "outdial_pod_provider_sockets", "Sockets to Deepgram that are spoken for", ["held_by"]
)
light_preparations = Counter(
    "outdial_pod_light_preparations",
    "Phones that rang without sockets to Deepgram ahead of the answer: too few were left",
)
voices_missing = Gauge(
    "outdial_pod_voices_missing", "Versions of templates whose services this pod does not have"
)
provider_errors = Counter("outdial_pod_provider_errors", "Errors of providers", ["provider"])
loop_lag = Gauge(
    "outdial_pod_loop_lag_seconds", "How late the event loop was, at worst, in the last second"
)
frame_lateness = Histogram(
    "outdial_pod_frame_lateness_seconds",
    "How late a piece of sound was sent, which goes out 0.2 s ahead of its playing",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
)
admission_open = Gauge("outdial_pod_admission_open", "0 while new calls wait: the loop is late")

"""Names of tasks and queues: all that a publisher knows of the workers."""

DISPATCH = "outdial.dispatch"
"""Claim due leads. No arguments."""

DISPATCH_EVERY_SECONDS = 1.0
"""Beat's tick. Whoever knows of a lead that is due earlier says so; a later one need not."""

PLACE_ATTEMPTS = "outdial.place_attempts"
"""Dial queued attempts. Argument: their ids, as text."""

SETTLE_ATTEMPTS = "outdial.settle_attempts"
"""Read the events of attempts and do what follows. Argument: their ids, as text."""

SWEEP = "outdial.sweep"
"""Look for what was lost, and mend it. No arguments."""

DIAL_QUEUE, SETTLE_QUEUE, SWEEP_QUEUE = "dial", "settle", "sweep"

QUEUE_OF: dict[str, str] = {
    DISPATCH: SWEEP_QUEUE,  # ticks are short: they must not wait behind calls that are placed
    PLACE_ATTEMPTS: DIAL_QUEUE,
    SETTLE_ATTEMPTS: SETTLE_QUEUE,
    SWEEP: SWEEP_QUEUE,
}

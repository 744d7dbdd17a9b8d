"""Numbers that must fit together (PROTOCOL.md 0): start refuses a set that does not.

Each rule names the variables, and which of them has to give way.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outdial.settings import Settings


def misfits(settings: "Settings") -> list[str]:
    """What to change, for each rule that does not hold."""
    return [change for holds, change in _rules(settings) if not holds]


def _rules(s: "Settings") -> list[tuple[bool, str]]:
    """Pairs of (holds, what to change when it does not)."""
    return [
        (
            s.departure_notice_seconds < s.post_too_late_seconds,
            "OUTDIAL_DEPARTURE_NOTICE_SECONDS must be less than OUTDIAL_POST_TOO_LATE_SECONDS",
        ),
        (
            s.post_too_late_seconds < s.post_timeout_seconds,
            "OUTDIAL_POST_TOO_LATE_SECONDS must be less than OUTDIAL_POST_TIMEOUT_SECONDS",
        ),
        (
            s.unknown_after_seconds > s.post_timeout_seconds + s.post_too_late_seconds,
            "OUTDIAL_UNKNOWN_AFTER_SECONDS must be more than OUTDIAL_POST_TIMEOUT_SECONDS + "
            "OUTDIAL_POST_TOO_LATE_SECONDS",
        ),
        (
            s.unknown_spent_after_seconds > s.unknown_after_seconds + s.ring_timeout_seconds,
            "OUTDIAL_UNKNOWN_SPENT_AFTER_SECONDS must be more than OUTDIAL_UNKNOWN_AFTER_SECONDS "
            "+ OUTDIAL_RING_TIMEOUT_SECONDS",
        ),
        (
            s.pod_out_after_seconds >= 2 * s.heartbeat_seconds,
            "OUTDIAL_POD_OUT_AFTER_SECONDS must be at least twice OUTDIAL_HEARTBEAT_SECONDS",
        ),
        (
            s.live_slot_lease_seconds > s.pod_out_after_seconds,
            "OUTDIAL_LIVE_SLOT_LEASE_SECONDS must be more than OUTDIAL_POD_OUT_AFTER_SECONDS",
        ),
        (
            s.settle_anyway_seconds > s.closing_pass_seconds,
            "OUTDIAL_SETTLE_ANYWAY_SECONDS must be more than OUTDIAL_CLOSING_PASS_SECONDS",
        ),
        (
            s.provider_sockets != 1,
            "OUTDIAL_PROVIDER_SOCKETS must be 0 (no limit) or at least 2: a call takes two",
        ),
        (
            s.silent_attempt_seconds > s.ring_timeout_seconds,
            "OUTDIAL_SILENT_ATTEMPT_SECONDS must be more than OUTDIAL_RING_TIMEOUT_SECONDS",
        ),
    ]

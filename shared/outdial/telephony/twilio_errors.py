"""What Twilio's error codes ask for. A code that is in no class here is unknown.

Source: https://www.twilio.com/docs/api/errors, and the twilio-oai description of the API.
"""

from enum import StrEnum


class ErrorClass(StrEnum):
    """What to do about a refused POST."""

    RETRY = "retry"  # never processed; later, with the same number
    NEXT_CONTACT = "next_contact"  # the number called is the trouble
    STOP_CAMPAIGN = "stop_campaign"  # ours to mend: every call would fail
    QUARANTINE_NUMBER = "quarantine_number"  # the number that we call from is the trouble
    UNKNOWN = "unknown"


ALREADY_ENDED: frozenset[int] = frozenset({20404, 21220})
"""Codes of an update that found the call over."""

TOO_MANY_REQUESTS = 20429

CLASSES: dict[int, ErrorClass] = {
    TOO_MANY_REQUESTS: ErrorClass.RETRY,
    22005: ErrorClass.RETRY,  # more than a day of calls queued
    10004: ErrorClass.RETRY,  # too many concurrent calls
    20003: ErrorClass.STOP_CAMPAIGN,  # bad credentials
    20005: ErrorClass.STOP_CAMPAIGN,  # account suspended
    20404: ErrorClass.STOP_CAMPAIGN,  # no such account
    21205: ErrorClass.STOP_CAMPAIGN,  # bad URL of ours
    21210: ErrorClass.QUARANTINE_NUMBER,  # caller number not ours
    21212: ErrorClass.QUARANTINE_NUMBER,  # caller number not valid
    13224: ErrorClass.NEXT_CONTACT,  # not a valid number
    21211: ErrorClass.NEXT_CONTACT,
    21217: ErrorClass.NEXT_CONTACT,
    21214: ErrorClass.NEXT_CONTACT,  # cannot be reached
    21215: ErrorClass.NEXT_CONTACT,  # no permission for its country
    21216: ErrorClass.NEXT_CONTACT,  # blocked
    21219: ErrorClass.NEXT_CONTACT,  # a trial account may call verified numbers only
}


def class_of(code: int) -> ErrorClass:
    """The class of `code`."""
    return CLASSES.get(code, ErrorClass.UNKNOWN)


_BARE = {401: 20003, 404: 20404, 429: TOO_MANY_REQUESTS}


def code_of(code: object, status: int) -> int:
    """The code of a refusal; where the body had none, the one that its HTTP status stands for."""
    if isinstance(code, int) and code != status:
        return code
    return _BARE.get(status, status)

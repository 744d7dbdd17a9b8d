"""Twilio's error codes that the carrier gives out, and the body they come in."""

from typing import Any

_STATUS = {10004: 429, 20003: 401, 20404: 404, 20429: 429, 20500: 500}

MESSAGES = {
    10004: "Call concurrency limit exceeded",
    20001: "{detail}",
    20003: "Authenticate",
    20404: "The requested resource {detail} was not found",
    20429: "Too Many Requests",
    20500: "An internal server error has occurred",
    21201: "No 'To' number is specified",
    21205: "{detail}",
    21206: "SendDigits is not valid: {detail}",
    21208: "Timeout is not valid: {detail}",
    21209: "{detail} must be GET or POST",
    21210: (
        "The source phone number provided, {detail}, is not yet verified for your account. You may"
        " only make calls from phone numbers that you've verified or purchased from Twilio."
    ),
    21211: "The phone number you are attempting to call, {detail}, is not valid.",
    21212: "The source phone number provided, {detail}, is not a valid phone number.",
    21213: "No 'From' number is specified",
    21214: "The phone number you are attempting to call, {detail}, cannot be reached.",
    21215: "Account not authorized to call {detail}. Perhaps you need to enable some permissions.",
    21216: "Account not allowed to call {detail}",
    21217: "{detail} is not a valid phone number.",
    21218: "ApplicationSid is not valid: {detail}",
    21220: "{detail}",
    20009: "Unable to delete this resource: {detail}",
    21609: "StatusCallback is not a valid URL: {detail}",
    13224: "The phone number you are attempting to call, {detail}, is not valid.",
}


class ApiError(Exception):
    """A refused request: `code` is Twilio's, `status` the HTTP status."""

    def __init__(self, code: int, detail: str = "", status: int | None = None) -> None:
        self.code = code
        self.status = status or _STATUS.get(code, 400)
        self.message = MESSAGES.get(code, "Error {detail}").format(detail=detail).strip()
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """The JSON of Twilio's answer."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }

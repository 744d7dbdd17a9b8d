"""The keys of the three providers, each tried where it counts."""

from collections.abc import Iterator

import groq
import httpx
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from outdial.settings import Settings
from outdial_cli.doctor.finding import Finding, missing, note, ok

_PATIENCE = 10.0
_CONSOLE = "https://console.twilio.com"


def check_twilio(settings: Settings) -> Iterator[Finding]:
    """Account, what kind it is, and the number that calls come from."""
    token = settings.twilio_auth_token.get_secret_value()
    for name, value in (
        ("TWILIO_ACCOUNT_SID", settings.twilio_account_sid),
        ("TWILIO_AUTH_TOKEN", token),
    ):
        if not value:
            yield missing("Twilio", f"{name} is not set.", f"Copy it from {_CONSOLE} into .env.")
    if not (settings.twilio_account_sid and token):
        return
    client = Client(
        settings.twilio_account_sid, token, http_client=TwilioHttpClient(timeout=_PATIENCE)
    )
    client.api.base_url = settings.twilio_api_base_url
    try:
        account = client.api.accounts(settings.twilio_account_sid).fetch()
    except TwilioRestException as error:
        yield _twilio_refused(error)
        return
    except (TwilioException, OSError) as error:
        yield missing("Twilio", f"It cannot be reached: {error}.", "Check this machine's network.")
        return
    yield from _account(str(account.status), str(account.type))
    yield _number(client, settings.twilio_phone_number)


def check_deepgram(settings: Settings) -> Finding:
    """Hearing and speaking."""
    key = settings.deepgram_api_key.get_secret_value()
    where = "Make a key at https://console.deepgram.com and set it in .env."
    if not key:
        return missing("Deepgram", "DEEPGRAM_API_KEY is not set.", where)
    try:
        answer = httpx.get(
            f"{settings.deepgram_base_url}/v1/projects",
            headers={"Authorization": f"Token {key}"},
            timeout=_PATIENCE,
        )
    except httpx.HTTPError as error:
        return missing("Deepgram", f"It cannot be reached: {error}.", "Check the network.")
    if answer.status_code in {401, 403}:
        return missing("Deepgram", "DEEPGRAM_API_KEY is refused.", where)
    if answer.is_error:
        return missing("Deepgram", f"It answers {answer.status_code}.", "Try again later.")
    return ok("Deepgram", "The key works.")


def check_groq(settings: Settings) -> Finding:
    """Thinking, with the model that calls use."""
    key = settings.groq_api_key.get_secret_value()
    where = "Make a key at https://console.groq.com and set it in .env."
    if not key:
        return missing("Groq", "GROQ_API_KEY is not set.", where)
    try:
        with groq.Groq(
            api_key=key, base_url=settings.groq_base_url, timeout=_PATIENCE, max_retries=0
        ) as client:
            models = {model.id for model in client.models.list().data}
    except groq.AuthenticationError:
        return missing("Groq", "GROQ_API_KEY is refused.", where)
    except groq.GroqError as error:
        return missing("Groq", f"It cannot be used: {error}.", "Check the network, or try later.")
    if models and settings.groq_model not in models:
        return missing(
            "Groq",
            f"The key works, but it offers no model {settings.groq_model}.",
            f"Set GROQ_MODEL to one of: {', '.join(sorted(models)[:8])}.",
        )
    return ok("Groq", f"The key works, and {settings.groq_model} is there.")


def _account(status: str, kind: str) -> Iterator[Finding]:
    if status != "active":
        yield missing("Twilio", f"The account is {status}.", f"See {_CONSOLE} why.")
    elif kind.lower() == "trial":
        yield note(
            "Twilio",
            "The account works; it is a trial account: it can only call numbers that you verified, "
            "plays a message of Twilio's before yours, and its credit ends.",
            f"Verify the numbers you want to try at {_CONSOLE}, or upgrade the account.",
        )
    else:
        yield ok("Twilio", "The account works.")


def _number(client: Client, phone: str) -> Finding:
    if not phone:
        return missing(
            "Caller number",
            "TWILIO_PHONE_NUMBER is not set.",
            f"Buy a number with voice at {_CONSOLE} and set it in .env, in E.164: +14155550100.",
        )
    try:
        owned = client.incoming_phone_numbers.list(phone_number=phone, limit=1)
    except (TwilioException, OSError) as error:
        return note("Caller number", f"{phone}: it could not be looked up ({error}).")
    if not owned:
        return missing(
            "Caller number",
            f"{phone} is not a number of this account.",
            "Set TWILIO_PHONE_NUMBER to one that is.",
        )
    if not (owned[0].capabilities or {}).get("voice"):
        return missing("Caller number", f"{phone} has no voice.", "Buy one that has.")
    return ok("Caller number", f"{phone} is yours and can call.")


def _twilio_refused(error: TwilioRestException) -> Finding:
    if error.status == httpx.codes.UNAUTHORIZED:
        return missing(
            "Twilio",
            "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN do not fit together.",
            f"Copy both anew from {_CONSOLE}.",
        )
    return missing(
        "Twilio",
        f"It refuses: {error.msg}",
        f"See https://www.twilio.com/docs/errors/{error.code}.",
    )

"""What the customer's server answered to a request for a document, read into verbs."""

from outdial_sandbox.carrier.twiml_document import Play, Say, TwimlError, Verb, parse_twiml
from outdial_sandbox.carrier.webhooks import Answered, Unanswered


def document_of(answer: Answered | Unanswered) -> list[Verb]:
    """Its verbs. Raises TwimlError."""
    if isinstance(answer, Unanswered):
        raise TwimlError(answer.code, answer.reason)
    if answer.status >= 300:
        raise TwimlError(11200, f"HTTP {answer.status}")
    kind = answer.content_type.partition(";")[0].strip().lower()
    if kind.startswith("audio/"):
        return [Play(answer.url, "", 1)]
    if kind == "text/plain":
        return [Say(answer.body.decode(errors="replace"), "en-US", 1)]
    if kind and not kind.endswith(("/xml", "+xml", "/html")):
        raise TwimlError(12300, f"invalid content type {kind}")
    return parse_twiml(answer.body)

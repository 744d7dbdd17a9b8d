"""Whether a request comes from Twilio: its signature over the address that the public sees.

The address is made of the configured public URL and the request's own path and query. `Host` and
`X-Forwarded-*` are what anybody likes to send.
"""

from collections.abc import Iterator, Sequence

from twilio.request_validator import RequestValidator

FormPairs = Sequence[tuple[str, str]]


class _Form:
    """A form as Twilio's validator reads one; a plain dict would drop repeated names."""

    def __init__(self, pairs: FormPairs) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def getlist(self, name: str) -> list[str]:
        return self._values[name]


def is_signed(
    auth_token: str,
    public_url: str,
    raw_path_and_query: str,
    body_params: FormPairs,
    signature: str | None,
) -> bool:
    """Whether `signature` is Twilio's for this form request.

    `body_params` must hold blank values too: Twilio signs them.
    """
    return _holds(auth_token, public_url + raw_path_and_query, _Form(body_params), signature)


def is_socket_signed(
    auth_token: str, socket_url: str, raw_path_and_query: str, signature: str | None
) -> bool:
    """The same for a media socket's upgrade, which has no parameters.

    `socket_url` begins with `wss://` (or `ws://`), as it was written in the TwiML.
    """
    return _holds(auth_token, socket_url + raw_path_and_query, _Form(()), signature)


def _holds(auth_token: str, url: str, form: _Form, signature: str | None) -> bool:
    if not signature or not auth_token:
        return False
    try:
        return bool(RequestValidator(auth_token).validate(url, form, signature))
    except ValueError:  # an address that cannot be read
        return False

"""The REST API over httpx; what it refuses becomes a sentence for the user."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import httpx

from outdial_cli.failure import CommandFailedError

Json = dict[str, Any]


class ApiClient:
    """Talks to one gateway. Proxies of the environment are not used for loopback addresses."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        local = httpx.URL(self.url).host in {"127.0.0.1", "localhost", "::1"}
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(60, connect=5),
            trust_env=not local,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, path: str, **params: str | int | None) -> Json:
        """GET a JSON object; parameters that are None are left out."""
        given = {key: value for key, value in params.items() if value is not None}
        return cast("Json", self._send("GET", path, params=given).json())

    def pages(self, path: str, **params: str | int | None) -> Iterator[Json]:
        """Every item of a list, page after page."""
        cursor: str | None = None
        while True:
            page = self.get(path, cursor=cursor, **params)
            yield from page["items"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def post(
        self,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> Json:
        """POST JSON, and read JSON back (an empty object when there is none)."""
        sent = body if body is not None else {}
        answer = self._send("POST", path, json=sent, headers=headers, timeout=timeout)
        return cast("Json", answer.json()) if answer.content else {}

    def post_file(self, path: str, file: Path, content_type: str, key: str = "") -> Json:
        """POST a file's bytes as the body, as they are read.

        `key` is an Idempotency-Key: with it, sending the same file again does nothing twice.
        """
        headers = {"Content-Type": content_type} | ({"Idempotency-Key": key} if key else {})
        try:
            with file.open("rb") as opened:
                body = _blocks(opened)
                answer = self._send("POST", path, content=body, headers=headers, timeout=600)
        except OSError as error:
            raise CommandFailedError(
                f"{file}: {error.strerror}. Give the path of a file."
            ) from None
        return cast("Json", answer.json()) if answer.content else {}

    def delete(self, path: str) -> None:
        """DELETE; there is nothing to read."""
        self._send("DELETE", path)

    def download(self, path: str, file: Path) -> None:
        """GET a file into `file`."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._errors(), self._http.stream("GET", path, timeout=600) as answer:
            if answer.is_error:
                answer.read()
                raise CommandFailedError(explain(answer))
            with file.open("wb") as opened:
                for block in answer.iter_bytes():
                    opened.write(block)

    def text(self, path: str) -> Iterator[str]:
        """GET a text, piece by piece."""
        with self._errors(), self._http.stream("GET", path, timeout=600) as answer:
            if answer.is_error:
                answer.read()
                raise CommandFailedError(explain(answer))
            yield from answer.iter_text()

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        with self._errors():
            answer = self._http.request(method, path, **arguments)
        if answer.is_error:
            raise CommandFailedError(explain(answer))
        return answer

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError:
            raise CommandFailedError(
                f"Nothing answers at {self.url}: is Outdial running? "
                "Start it with `outdial up`, or mend OUTDIAL_API_URL."
            ) from None
        except httpx.TimeoutException:
            raise CommandFailedError(
                f"{self.url} did not answer in time: try again, or look at its log."
            ) from None
        except httpx.HTTPError as error:
            raise CommandFailedError(f"{self.url}: {error}") from None


def explain(answer: httpx.Response) -> str:
    """A refused request in words: the problem's own, with a hint where the status has one."""
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    said = problem.get("detail") or problem.get("title") or f"{answer.status_code} from the API"
    lines = [str(said), *(f"  {_error_line(error)}" for error in problem.get("errors") or [])]
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        lines.append("Set OUTDIAL_API_KEY to a key made with `outdial key create`.")
    if answer.status_code == httpx.codes.FORBIDDEN:
        lines.append("Use a key with a higher role: `outdial key create --role operator`.")
    return "\n".join(lines)


def _error_line(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)
    where = error.get("row") or error.get("field") or error.get("loc") or error.get("pointer") or ""
    what = error.get("message") or error.get("msg") or error.get("detail") or error
    return f"{where}: {what}" if where else str(what)


def _blocks(opened: Any, size: int = 1 << 16) -> Iterator[bytes]:
    while block := opened.read(size):
        yield block

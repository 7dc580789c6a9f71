"""One HTTP client for every connector: says what a failure means, keeps to stated limits, reads error bodies.

It never retries. It waits when the server says for how long and that is short, and after a 401 it asks once
for a new token. Which failure is which error: design section 5, and the picture in `tieout.errors`.
"""

import json
import re
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Container, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from threading import Lock
from typing import Any, NoReturn, Protocol
from urllib.parse import urlsplit

import httpx

from tieout.errors import RefusedError, SettingsError, TieoutError, TransientError, UnconfirmedError

PATIENCE = 30.0  # seconds that one call waits at most; a longer wait is the task's business
# Surely nothing was sent: no address, no connection, no TLS, no free connection in the pool.
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
# Control characters, halves of surrogate pairs, and marks that reverse the direction of writing.
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_SPACE = re.compile(r"[ \t\n\r]*")
_TITLE = re.compile(r"<(title|h1)[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_DEEPEST = 8  # no vendor nests an error deeper
_SENTENCES = ("errors", "error", "error_description", "message", "reason", "detail", "details", "fields")


class Authorization(Protocol):
    """Where the Authorization header comes from."""

    def header(self) -> str:
        """Return the value to send now; TransientError or SettingsError when there is none."""

    def renew(self, refused: str) -> bool:
        """Replace the value that was answered 401; False when there is nothing better to send."""


class Basic:
    """A user name and a password in every request."""

    def __init__(self, user: str, password: str) -> None:
        """Keep the header, not the password."""
        self._header = "Basic " + b64encode(f"{user}:{password}".encode()).decode()

    def header(self) -> str:
        """Return the one header there is."""
        return self._header

    def renew(self, refused: str) -> bool:
        """Nothing to renew: the password is wrong."""
        return False


@cache
def _trusted() -> ssl.SSLContext:
    """Return which servers are trusted; loading the certificates takes as long as several calls, so it is done once."""
    return httpx.create_ssl_context()


class Client:
    """Calls to one system over one pool of connections, which threads may share; `calls` counts every request."""

    def __init__(
        self,
        system: str,
        base_url: str,
        timeout: float,
        auth: Authorization | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open nothing yet; `sleep` and `clock` are the world's unless a test brings its own."""
        address = urlsplit(base_url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise SettingsError(system, "the connection", f"{plain(base_url, 100)!r} is not an http(s) address")
        self.system, self.calls = system, 0
        self._auth, self._sleep, self._clock = auth, sleep, clock
        self._resume_at = 0.0
        self._lock = Lock()
        local = address.hostname in ("127.0.0.1", "::1", "localhost")  # a proxy has no business there
        self._http = httpx.Client(
            base_url=base_url, timeout=timeout, headers=headers, trust_env=not local, verify=_trusted()
        )

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def read(
        self,
        method: str,
        path: str,
        document: str,
        allow: Container[int] = (),
        hints: Mapping[int, str] | None = None,
        **sent: Any,
    ) -> httpx.Response:
        """Send a request that changes nothing; `sent` is what httpx takes (params, json, data).

        Statuses in `allow` are returned, `hints` say what a status means here. A 4xx is RefusedError, a 401 that
        stays SettingsError, everything else TransientError.
        """
        try:
            response = self._exchange(method, path, document, TransientError, sent)
        except httpx.HTTPError as error:
            raise TransientError(self.system, document, _transport_words(error)) from None
        if not response.is_success and response.status_code not in allow:
            self._raise_for(response, document, TransientError, hints)
        return response

    def read_json(self, method: str, path: str, document: str, **sent: Any) -> Any:
        """Send a request that changes nothing and return its content; unreadable content is transient."""
        response = self.read(method, path, document, **sent)
        try:
            return parse(response)
        except ValueError as error:
            raise TransientError(self.system, document, str(error), request_id(response)) from None

    def write(
        self, method: str, path: str, document: str, hints: Mapping[int, str] | None = None, **sent: Any
    ) -> httpx.Response:
        """Send a request that changes something; its JSON answer, if it has one, is known to be readable.

        TransientError when surely nothing was written, UnconfirmedError when that is not known, RefusedError
        on a 4xx.
        """
        try:
            response = self._exchange(method, path, document, UnconfirmedError, sent)
        except _NEVER_SENT as error:
            raise TransientError(self.system, document, _transport_words(error)) from None
        except httpx.HTTPError as error:
            raise UnconfirmedError(self.system, document, _transport_words(error)) from None
        if not response.is_success:
            self._raise_for(response, document, UnconfirmedError, hints)
        try:
            if response.content:
                parse(response)
        except ValueError as error:
            raise UnconfirmedError(self.system, document, str(error), request_id(response)) from None
        return response

    def _exchange(
        self, method: str, path: str, document: str, unknown: type[TieoutError], sent: dict[str, Any]
    ) -> httpx.Response:
        """Send until the answer is neither 'wait a moment' nor an expired token; 5xx of a write is final."""
        waited, renewed = self._wait_for_limit(), False
        while True:
            authorization = self._auth.header() if self._auth else None
            response = self._send(method, path, authorization, sent)
            if response.status_code == HTTPStatus.UNAUTHORIZED and authorization and not renewed:
                renewed = True
                if self._auth and self._auth.renew(authorization):
                    continue
            wait = self._stated_wait(response, is_read=unknown is TransientError)
            if wait is None or waited + wait > PATIENCE:
                return response
            self._sleep(wait)
            waited += max(wait, 1.0)  # a server that says "now" for ever must not hold us for ever

    def _send(self, method: str, path: str, authorization: str | None, sent: dict[str, Any]) -> httpx.Response:
        with self._lock:
            self.calls += 1
        headers = {**sent.get("headers", {}), **({"Authorization": authorization} if authorization else {})}
        response = self._http.request(method, path, **{**sent, "headers": headers})
        if response.headers.get("X-Rate-Limit-Remaining", "").strip() == "0":
            until_reset = self._until_reset(response)
            if until_reset is not None and until_reset <= PATIENCE:
                with self._lock:
                    self._resume_at = max(self._resume_at, self._clock() + until_reset)
        return response

    def _wait_for_limit(self) -> float:
        """Sit out a window that is used up, and say for how long that was."""
        with self._lock:
            wait = min(self._resume_at - self._clock(), PATIENCE)
        if wait <= 0:
            return 0.0
        self._sleep(wait)
        return wait

    def _stated_wait(self, response: httpx.Response, is_read: bool) -> float | None:
        """Return how long the server asks us to wait with this request, or None when it does not."""
        busy = (429, 503) if is_read else (429,)
        if response.status_code not in busy:
            return None
        retry_after = response.headers.get("Retry-After", "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d+)?", retry_after):
            return float(retry_after)
        moment = _http_date(retry_after)
        if moment:
            return max(0.0, moment.timestamp() - self._server_now(response))
        return self._until_reset(response) if response.status_code == HTTPStatus.TOO_MANY_REQUESTS else None

    def _until_reset(self, response: httpx.Response) -> float | None:
        reset = response.headers.get("X-Rate-Limit-Reset", "").strip()
        return max(0.0, int(reset) - self._server_now(response)) if re.fullmatch(r"\d{1,12}", reset) else None

    def _server_now(self, response: httpx.Response) -> float:
        """Return the server's own time where it states it: our clock may be ahead of it or behind."""
        moment = server_time(response)
        return moment.timestamp() if moment else self._clock()

    def _raise_for(
        self,
        response: httpx.Response,
        document: str,
        unknown: type[TieoutError],
        hints: Mapping[int, str] | None,
    ) -> NoReturn:
        status, kind = response.status_code, unknown
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            kind = TransientError
        elif status == HTTPStatus.UNAUTHORIZED or (response.is_redirect and unknown is TransientError):
            kind = SettingsError
        elif 400 <= status < 500 and status != HTTPStatus.REQUEST_TIMEOUT:
            kind = RefusedError
        hint = (hints or {}).get(status)
        words = explain(response) + (f" ({hint})" if hint else "")
        raise kind(self.system, document, words, request_id(response))


def parse(response: httpx.Response) -> Any:
    """Return the JSON content; ValueError in plain words when it is none."""
    try:
        return parse_text(response.content.decode())
    except UnicodeDecodeError:
        raise ValueError("the answer is not valid UTF-8") from None


def parse_text(text: str) -> Any:
    """Return what the JSON text says; ValueError in plain words when it is none. Floats stay floats."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"the answer is not valid JSON ({plain(str(error), 80)})") from None


def elements(text: str) -> Iterator[tuple[str, Any]]:
    """Yield each element of a JSON array with its text; ValueError in plain words where it stops being one."""
    position, wanted = _skip_space(text, 0), "["
    while text[position : position + 1] == wanted:
        position, wanted = _skip_space(text, position + 1), ","
        if text[position : position + 1] == "]":
            break
        try:
            value, end = _ARRAY.raw_decode(text, position)
        except RecursionError:
            raise ValueError("the answer is nested too deeply") from None
        except ValueError as error:
            raise ValueError(f"the answer is not valid JSON ({plain(str(error), 80)})") from None
        yield text[position:end], value
        position = _skip_space(text, end)
    if text[position:].strip() != "]":
        raise ValueError("the answer ends early" if wanted == "," else "the answer is not a list")


def explain(response: httpx.Response) -> str:
    """Return the error body as one plain sentence, whichever of the vendors' shapes it has."""
    try:
        words = "; ".join(dict.fromkeys(_sentences(parse(response))))
    except ValueError:
        words = _text_words(response.content.decode(errors="replace"))
    if response.is_redirect:
        words = f"redirects to {response.headers.get('Location', '?')}; is the address in the settings right?"
    stated = f"HTTP {response.status_code} {response.reason_phrase}".strip()
    if not words:
        return f"{stated}, with no explanation"
    return plain(words if response.is_client_error else f"{stated}: {words}")


def plain(text: str, limit: int = 500) -> str:
    """Return the text on one line, without control characters, no longer than `limit`."""
    line = " ".join(_INVISIBLE.sub(" ", text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def without_controls(text: str) -> str:
    """Return the text as a name may be stored and shown; characters of every plane stay."""
    return text.strip() if text.isprintable() else _INVISIBLE.sub(" ", text).strip()


def request_id(response: httpx.Response) -> str | None:
    """Return the id under which the vendor logged this request."""
    return plain(response.headers.get("X-Request-Id", ""), 100) or None


def server_time(response: httpx.Response) -> datetime | None:
    """Return the time at which the server says it answered."""
    return _http_date(response.headers.get("Date", ""))


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _transport_words(error: httpx.HTTPError) -> str:
    kind = "no answer in time" if isinstance(error, httpx.TimeoutException) else "connection failed"
    return plain(f"{kind} ({type(error).__name__}{f': {error}' if str(error) else ''})")


def _sentences(body: Any, depth: int = 0, is_fields: bool = False) -> Iterator[str]:
    """Yield the sentences of an error body: a text, a list, known keys, or an object of fields with messages."""
    if isinstance(body, str) and body.strip():
        yield body.strip()
    elif isinstance(body, list) and depth < _DEEPEST:
        for each in body:
            yield from _sentences(each, depth + 1)
    elif isinstance(body, dict) and depth < _DEEPEST:
        spoken = [] if is_fields else [key for key in _SENTENCES if body.get(key)]
        for key in spoken or body:
            for sentence in _sentences(body[key], depth + 1, is_fields=key in ("errors", "fields")):
                yield sentence if spoken else f"{key}: {sentence}"


def _text_words(text: str) -> str:
    """Return what a body that is not JSON says: an HTML page by its title, anything else as it is."""
    if "<" not in text:
        return text
    title = _TITLE.search(text)
    words = plain(_TAG.sub(" ", title[2] if title else text))
    return f"an HTML page titled {words!r}" if title else words


_ARRAY = json.JSONDecoder(parse_constant=_no_constant)

"""One HTTP client for every connector: says what a failure means and keeps to stated limits.

It never retries. It waits when the server says for how long and that is short, and after a 401 it asks once
for a new token. Which failure is which error: docs/connectors.md, and the picture in `tieout.errors`.
"""

import re
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Container, Mapping
from functools import cache
from http import HTTPStatus
from threading import Lock
from typing import Any, NoReturn, Protocol
from urllib.parse import urlsplit

import httpx

from data_contracts.text import plain
from tieout.connectors.wire.answers import explain, http_date, parse, request_id, server_time
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

        Statuses in `allow` are returned, `hints` say what a status means here. A 401 that stays and a redirect are
        SettingsError, 408 and 429 TransientError, any other 4xx RefusedError, everything else TransientError.
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

        A 401 that stays is SettingsError, any other 4xx but 408 and 429 RefusedError. Else it is TransientError
        when surely nothing was written, UnconfirmedError when that is not known.
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
        moment = http_date(retry_after)
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


def _transport_words(error: httpx.HTTPError) -> str:
    kind = "no answer in time" if isinstance(error, httpx.TimeoutException) else "connection failed"
    return plain(f"{kind} ({type(error).__name__}{f': {error}' if str(error) else ''})")

"""Make a stand-in server misbehave on demand, and remember every request that it was asked.

`with_faults` wraps any ASGI application.
`/_sandbox/requests` shows what was asked, `/_sandbox/faults` takes faults; control paths (`/_sandbox/...`) never
fail and are never logged. What the faults mean:

| kind | inner application | what the client gets |
|---|---|---|
| latency | called after `seconds` | the answer, late |
| 429, 5xx_before, html_503 | not called | that status (`status` overrides it); 429 says `Retry-After` |
| 5xx_after | completes | `status` (502), the real answer is lost |
| reset_before | not called | the TCP connection is reset |
| reset_after | completes | the TCP connection is reset |
| slow_after | completes at once | the real answer, `seconds` later |
| truncated | completes | a whole HTTP answer whose body is cut in half |
| cut_off | completes | the connection closed in the middle of the body |
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

REQUESTS_KEPT = 100_000

KINDS = (
    "latency",
    "429",
    "5xx_before",
    "5xx_after",
    "reset_before",
    "reset_after",
    "slow_after",
    "truncated",
    "cut_off",
    "html_503",
)
NOT_CALLED = {"429": 429, "5xx_before": 503, "html_503": 503}
NUMBER = re.compile(r"(?<=/)\d+(?=/|$)")
HTML_503 = b"<html><head><title>503 Service Unavailable</title></head><body><h1>Maintenance</h1></body></html>"


@dataclass
class Fault:
    """One way to fail, for the requests whose "METHOD /path" the pattern finds."""

    route: str
    kind: str
    times: int | None = None  # None with a share: for ever
    share: float | None = None
    seconds: float = 1.0
    status: int | None = None
    retry_after: int | None = None
    seed: int = 0
    fired: int = 0
    random: Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}; kinds are {', '.join(KINDS)}")
        self.pattern = re.compile(self.route)
        self.random = Random(self.seed)
        if self.times is None and self.share is None:
            self.times = 1

    def strikes(self, route: str) -> bool:
        """Say whether this request is hit, and count it when it is."""
        if not self.pattern.search(route) or (self.times is not None and self.fired >= self.times):
            return False
        if self.share is not None and self.random.random() >= self.share:
            return False
        self.fired += 1
        return True

    def as_json(self) -> dict[str, Any]:
        names = ("route", "kind", "times", "share", "seconds", "status", "retry_after", "seed", "fired")
        return {name: getattr(self, name) for name in names}


@dataclass
class RequestLog:
    """What was asked, and how often by route: numbers in a path are written {id}."""

    entries: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=REQUESTS_KEPT))
    by_route: Counter[str] = field(default_factory=Counter)

    def add(self, method: str, path: str, **facts: Any) -> dict[str, Any]:
        """Add a request; the status of the returned entry is filled in when the client gets one."""
        route = NUMBER.sub("{id}", path)
        self.by_route[f"{method} {route}"] += 1
        entry = {"method": method, "route": route, "path": path, "status": None, **facts}
        self.entries.append(entry)
        return entry

    def clear(self) -> None:
        self.entries.clear()
        self.by_route.clear()


def with_faults(app: ASGIApp, name: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> ASGIApp:
    """Wrap a stand-in so that it keeps a request log and fails as it is told."""
    return _FaultInjection(app, name, clock)


class _FaultInjection:
    def __init__(self, app: ASGIApp, name: str, clock: Callable[[], datetime]) -> None:
        self.app = app
        self.name = name
        self.clock = clock
        self.faults: list[Fault] = []
        self.log = RequestLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith("/_sandbox"):
            control = {"/_sandbox/requests": self._requests, "/_sandbox/faults": self._faults}.get(path)
            return await (control or self.app)(scope, receive, send)
        await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._fault(f"{scope['method']} {scope['path']}")
        query = scope.get("query_string", b"").decode("latin-1")
        facts = {"query": query, "fault": fault and fault.kind, "at": self.clock().isoformat()}
        entry = self.log.add(scope["method"], scope["path"], **facts)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            await send(message)

        if fault is None:
            await self.app(scope, receive, watched)
        else:
            await self._fail(fault, (scope, receive, watched), send)

    def _fault(self, route: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.strikes(route)), None)

    async def _fail(self, fault: Fault, call: tuple[Scope, Receive, Send], raw_send: Send) -> None:
        scope, receive, send = call
        if fault.kind == "latency":
            await asyncio.sleep(fault.seconds)
            return await self.app(scope, receive, send)
        if fault.kind in NOT_CALLED or fault.kind == "reset_before":
            await _drain(receive)
            return await (_reset(raw_send) if fault.kind == "reset_before" else _refuse(fault, send))
        answer = await _completed(self.app, scope, receive)
        match fault.kind:
            case "5xx_after":
                await _answer(send, fault.status or 502, {"errors": "Bad gateway"})
            case "reset_after":
                await _reset(raw_send)
            case "slow_after":
                await asyncio.sleep(fault.seconds)
                await _replay(answer, send)
            case "truncated":
                await _replay(_halved(answer), send)
            case _:
                await _replay(_halved(answer, honest=False), send)
                _transport(raw_send).close()
                await asyncio.sleep(0.01)  # let the server notice, or it complains of a missing answer

    async def _requests(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "DELETE":
            self.log.clear()
        kept = list(self.log.entries)
        counts = {
            "server": self.name,
            "total": self.log.by_route.total(),
            "by_route": dict(self.log.by_route),
        }
        await _answer(send, 200, {**counts, "requests": kept})

    async def _faults(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _drain(receive)
        if scope["method"] == "DELETE":
            self.faults.clear()
        if scope["method"] == "POST":
            try:
                given = json.loads(body)
                self.faults.extend(Fault(**one) for one in (given if isinstance(given, list) else [given]))
            except (TypeError, ValueError, re.error) as error:
                return await _answer(send, 400, {"error": str(error)})
        await _answer(send, 200, {"faults": [fault.as_json() for fault in self.faults]})


async def _drain(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body"):
            return bytes(body)


async def _completed(app: ASGIApp, scope: Scope, receive: Receive) -> list[Message]:
    """Let the application finish, whatever it writes is committed, and keep its answer back."""
    answer: list[Message] = []

    async def keep(message: Message) -> None:
        answer.append(message)

    await app(scope, receive, keep)
    return answer


async def _replay(answer: Iterable[Message], send: Send) -> None:
    for message in answer:
        await send(message)


def _halved(answer: list[Message], honest: bool = True) -> list[Message]:
    start = answer[0]
    body = b"".join(message.get("body", b"") for message in answer[1:])
    half = body[: len(body) // 2]
    length = str(len(half) if honest else len(body)).encode()
    headers = [(key, value) for key, value in start["headers"] if key.lower() != b"content-length"]
    started = {**start, "headers": [*headers, (b"content-length", length)]}
    return [started, {"type": "http.response.body", "body": half, "more_body": not honest}]


async def _refuse(fault: Fault, send: Send) -> None:
    status = fault.status or NOT_CALLED[fault.kind]
    wait = fault.retry_after if fault.retry_after is not None else (1 if fault.kind == "429" else None)
    headers = [] if wait is None else [(b"retry-after", str(wait).encode())]
    if fault.kind == "html_503":
        return await _answer(send, status, HTML_503, [*headers, (b"content-type", b"text/html")])
    reason = "You have surpassed the max number of requests" if status == 429 else "Service unavailable"
    await _answer(send, status, {"errors": reason}, headers)


async def _answer(send: Send, status: int, body: Any, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = [] if isinstance(body, bytes) else [(b"content-type", b"application/json")]
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *kind, length]})
    await send({"type": "http.response.body", "body": content})


async def _reset(send: Send) -> None:
    """Abort the TCP connection, with RST where the platform lets us choose."""
    transport = _transport(send)
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await asyncio.sleep(0.01)  # let the server notice, or it complains of a missing answer


def _transport(send: Any) -> Any:
    """Find uvicorn's transport behind `send`: it is a bound method of the request cycle, perhaps wrapped."""
    queue = [send]
    while queue:
        candidate = queue.pop(0)
        transport = getattr(getattr(candidate, "__self__", None), "transport", None)
        if transport is not None:
            return transport
        cells = getattr(candidate, "__closure__", None) or ()
        queue += [cell.cell_contents for cell in cells if callable(cell.cell_contents)]
    raise RuntimeError("the server's transport cannot be reached: run this application under uvicorn")

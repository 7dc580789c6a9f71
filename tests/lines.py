"""A line to a server that is not ours: it passes requests on, counts them, and loses what it is told to."""

import json
import os
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Literal

import httpx

Trouble = Literal["request lost", "request late", "answer lost", "answer cut", "answer late", "refused"]
_LONGEST = 30.0  # seconds that anything is kept back
_NOT_PASSED_ON = {"host", "content-length", "connection", "accept-encoding"}
_NOT_PASSED_BACK = {"content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive"}


class Line:
    """Leads to a server; troubles befall the requests that write, one trouble each, in the order of their coming."""

    def __init__(self, upstream: str, writes: str) -> None:
        """`writes` is what to find in a request that writes: a pattern over `METHOD /path`, a new line and its body."""
        self._upstream, self._writes = upstream, re.compile(writes.encode(), re.DOTALL)
        self._http = httpx.Client(base_url=upstream, timeout=300, trust_env=False, verify=False)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Passage", (_Passage,), {"line": self}))
        self._lock, self._numbers = threading.Lock(), count(1)
        self._troubles: list[tuple[Trouble, int, dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._late, self._gate = 0, threading.Event()  # requests on their way whose senders gave up
        self.words = "The controller has closed this line"  # of a refusal
        self.asked: Counter[str] = Counter()  # requests that read and that write

    @property
    def requests(self) -> int:
        """How many requests came, of any kind."""
        return self.asked.total()

    def befall(self, trouble: Trouble, times: int = 1, status: int = 422, **headers: str) -> None:
        """Let this happen to the next requests that write; `status` and `headers` are those of a refusal."""
        self._troubles += [(trouble, status, headers)] * times

    def heal(self) -> None:
        """Pass everything on again."""
        self._troubles.clear()

    def let_arrive(self) -> None:
        """Let the requests that are late come to the server, and wait until they did."""
        gate, self._gate = self._gate, threading.Event()
        gate.set()
        while self._late:
            time.sleep(0.01)

    def hang_up(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._http.close()

    def listen(self) -> None:
        """Pass requests on from a thread of this process."""
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def next_trouble(self, request: bytes) -> tuple[Trouble | Literal["none"], int, dict[str, str]]:
        """Count a request and say what befalls it."""
        with self._lock:
            is_write = bool(self._writes.search(request))
            self.asked["write" if is_write else "read"] += 1
            return self._troubles.pop(0) if is_write and self._troubles else ("none", 200, {})

    def new_request_id(self) -> str:
        """Return the id under which the server would have logged a request."""
        return f"line-{next(self._numbers)}"

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """Pass a request on."""
        return self._http.request(method, path, content=body, headers=headers)

    @contextmanager
    def late(self) -> Iterator[threading.Event]:
        """Count a request as late until the block is left; it may go on when the event is set."""
        with self._lock:
            self._late += 1
        try:
            yield self._gate
        finally:
            with self._lock:
                self._late -= 1


@contextmanager
def a_line(upstream: str, writes: str) -> Iterator[Line]:
    line = Line(upstream, writes)
    line.listen()
    try:
        yield line
    finally:
        line.hang_up()


class _Passage(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    line: Line

    def do_GET(self) -> None:
        self._pass()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        trouble, status, headers = self.line.next_trouble(f"{self.command} {self.path}\n".encode() + body)
        if trouble == "refused":
            words = json.dumps({"message": self.line.words}).encode()
            return self._answer(status, {"Content-Type": "application/json", **headers}, words)
        if trouble == "request lost":
            return self._reset()
        if trouble == "request late":
            with self.line.late() as gate:
                self._reset()
                gate.wait(_LONGEST)
                self._ask(body)
            return
        answer = self._ask(body)
        if trouble == "answer lost":
            return self._reset()
        if trouble == "answer late":
            self._wait_until_given_up()
        back = {name: value for name, value in answer.headers.items() if name not in _NOT_PASSED_BACK}
        self._answer(answer.status_code, back, answer.content, is_cut=trouble == "answer cut")

    def _ask(self, body: bytes) -> httpx.Response:
        kept = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_PASSED_ON}
        return self.line.ask(self.command, self.path, body, kept)

    def _answer(self, status: int, headers: dict[str, str], body: bytes, is_cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in {"X-Request-Id": self.line.new_request_id(), **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if is_cut else body)
        self.close_connection = self.close_connection or is_cut

    def _wait_until_given_up(self) -> None:
        self.connection.settimeout(_LONGEST)
        self.connection.recv(1, socket.MSG_PEEK)
        self.connection.settimeout(None)

    def _reset(self) -> None:
        """Abort the connection, with RST where the platform lets us choose."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
        self.close_connection = True

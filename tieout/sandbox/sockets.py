"""Serve an ASGI application on a real socket: the stand-ins use nothing less, in tests as in the demo."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from tieout.sandbox.faults import ASGIApp

HOST = "127.0.0.1"
STOP_AFTER_SECONDS = 5.0


class SandboxError(Exception):
    """A stand-in could not be started, or ended by itself."""


class Server(uvicorn.Server):
    """uvicorn that says when it takes requests."""

    def __init__(self, app: ASGIApp, on_started: Callable[[], object]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="warning",
                access_log=False,
                lifespan="off",
                timeout_keep_alive=75,
                timeout_graceful_shutdown=1,
            )
        )
        self.on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests, and say so."""
        await super().startup(sockets)
        self.on_started()


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket, so that the port is known before the server starts; port 0 takes a free one."""
    # asyncio switches Nagle's delay off only where the protocol is named: 40 ms per answer otherwise.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(256)
    return listener


def free_port() -> int:
    """Return a port that nobody listens on now, for a server that can only be told a number."""
    with listen(HOST, 0) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def serving(app: ASGIApp, host: str = HOST) -> Iterator[str]:
    """Serve one application from a thread of this process and yield its address: for tests and benchmarks."""
    listener, started = listen(host, 0), threading.Event()
    server = Server(app, started.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        if not started.wait(30):
            raise SandboxError("the stand-in did not start within 30 seconds")
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(STOP_AFTER_SECONDS)
        listener.close()

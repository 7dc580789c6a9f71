"""A stand-in fails exactly as it is told, over real sockets."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tieout.sandbox.faults import with_faults
from tieout.sandbox.sockets import serving


class Counter:
    """An application that counts what it was asked to write."""

    def __init__(self) -> None:
        self.writes = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        self.writes += scope["method"] == "POST"
        body = json.dumps({"writes": self.writes, "padding": "x" * 200}).encode()
        headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Counter, str]]:
    counter = Counter()
    with serving(with_faults(counter, "counter")) as url:
        yield counter, url


@pytest.fixture
def counter(server: tuple[Counter, str]) -> Counter:
    server[0].writes = 0
    return server[0]


@pytest.fixture
def client(server: tuple[Counter, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server[1], trust_env=False, timeout=0.4) as client:
        client.delete("/_sandbox/faults")
        client.delete("/_sandbox/requests")
        yield client


def inject(client: httpx.Client, kind: str, **more: Any) -> None:
    client.post("/_sandbox/faults", json={"route": "^POST /write", "kind": kind, **more}).raise_for_status()


@pytest.mark.parametrize(
    ("kind", "status", "writes"), [("429", 429, 0), ("5xx_before", 503, 0), ("html_503", 503, 0), ("5xx_after", 502, 1)]
)
def test_a_failing_status_says_whether_the_write_happened(
    client: httpx.Client, counter: Counter, kind: str, status: int, writes: int
) -> None:
    inject(client, kind)

    assert (client.post("/write").status_code, counter.writes) == (status, writes)
    assert client.post("/write").status_code == 200  # once, unless told otherwise


@pytest.mark.parametrize(("kind", "writes"), [("reset_before", 0), ("reset_after", 1)])
def test_a_reset_connection_is_a_transport_error(
    client: httpx.Client, counter: Counter, kind: str, writes: int
) -> None:
    inject(client, kind)

    with pytest.raises(httpx.TransportError):
        client.post("/write", json={"amount": "1.00"})

    assert counter.writes == writes


def test_a_slow_answer_comes_after_the_write_took_effect(client: httpx.Client, counter: Counter) -> None:
    inject(client, "slow_after", seconds=0.5)

    with pytest.raises(httpx.ReadTimeout):
        client.post("/write")

    assert counter.writes == 1


def test_latency_delays_the_answer(client: httpx.Client) -> None:
    inject(client, "latency", seconds=0.2)
    started = time.monotonic()
    answer = client.post("/write")

    assert answer.status_code == 200
    assert time.monotonic() - started >= 0.2


def test_a_truncated_answer_is_whole_http_with_half_a_body(client: httpx.Client, counter: Counter) -> None:
    inject(client, "truncated")
    answer = client.post("/write")

    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Unterminated"):
        answer.json()
    assert counter.writes == 1


def test_a_cut_off_answer_ends_in_the_middle(client: httpx.Client, counter: Counter) -> None:
    inject(client, "cut_off")

    with pytest.raises(httpx.RemoteProtocolError):
        client.post("/write")

    assert counter.writes == 1


def test_429_says_how_long_to_wait(client: httpx.Client) -> None:
    inject(client, "429", retry_after=7)

    assert client.post("/write").headers["retry-after"] == "7"


def test_a_share_of_requests_fails_and_the_same_ones_for_the_same_seed(client: httpx.Client) -> None:
    def outcomes() -> list[int]:
        client.delete("/_sandbox/faults")
        inject(client, "5xx_before", share=0.5, seed=3)
        return [client.post("/write").status_code for _ in range(40)]

    first = outcomes()

    assert first == outcomes()
    assert 10 < first.count(503) < 30


def test_other_routes_and_control_paths_are_left_alone(client: httpx.Client) -> None:
    inject(client, "5xx_before", times=5)

    assert client.get("/read").status_code == 200
    assert client.get("/_sandbox/faults").json()["faults"][0]["fired"] == 0


def test_an_unknown_kind_is_refused(client: httpx.Client) -> None:
    answer = client.post("/_sandbox/faults", json={"route": ".", "kind": "gremlin"})

    assert answer.status_code == 400
    assert "gremlin" in answer.json()["error"]


def test_the_log_counts_by_route_with_ids_replaced(client: httpx.Client) -> None:
    inject(client, "reset_before")
    client.get("/rest/v1.0/projects/562949953/invoices/17")
    client.get("/rest/v1.0/projects/562949954/invoices/18?page=2")
    with pytest.raises(httpx.TransportError):
        client.post("/write")
    log = client.get("/_sandbox/requests").json()

    assert log["by_route"] == {"GET /rest/v1.0/projects/{id}/invoices/{id}": 2, "POST /write": 1}
    assert [(entry["status"], entry["fault"]) for entry in log["requests"]] == [
        (200, None),
        (200, None),
        (None, "reset_before"),
    ]
    assert client.delete("/_sandbox/requests").json()["total"] == 0
    assert client.get("/_sandbox/requests").json()["requests"] == []

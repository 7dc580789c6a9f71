"""What a failed call means, how long a client waits, and what an error body says."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from tieout.connectors.wire import Basic, Client, elements, explain, parse_text
from tieout.errors import RefusedError, SettingsError, TieoutError, TransientError, UnconfirmedError
from tieout.sandbox.faults import with_faults
from tieout.sandbox.sockets import serving

Answer = tuple[int, dict[str, str], Any]


@dataclass
class Server:
    """Gives the answers that a test has written down, the last one again and again."""

    answers: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append({key.decode(): value.decode() for key, value in scope["headers"]})
        status, headers, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        pairs = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": content})


@dataclass
class Conversation:
    """A client whose sleeping takes no time, and the server that it talks to."""

    url: str
    server: Server
    faults: httpx.Client
    slept: list[float] = field(default_factory=list)
    ahead: float = 0.0  # of our clock
    auth: Any = None

    def __post_init__(self) -> None:
        self.client = Client(
            "Vendor", self.url, 5.0, self.auth, {"Company": "7"}, sleep=self.slept.append, clock=self.clock
        )

    def clock(self) -> float:
        return time.time() + sum(self.slept) + self.ahead

    def expect(self, *answers: Answer) -> None:
        self.server.answers[:], self.slept[:] = answers, []
        self.server.asked.clear()
        self.client.calls = 0

    def fault(self, **fault: Any) -> None:
        assert self.faults.post("/_sandbox/faults", json=fault).status_code == 200


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, Server]]:
    server = Server()
    with serving(with_faults(server, "scripted")) as url:
        yield url, server


@pytest.fixture
def talk(served: tuple[str, Server]) -> Iterator[Conversation]:
    url, server = served
    with httpx.Client(base_url=url, trust_env=False) as faults:
        conversation = Conversation(url, server, faults)
        conversation.expect(OK)
        yield conversation
        faults.delete("/_sandbox/faults")
        conversation.client.close()


OK: Answer = (200, {}, {"fine": True})


def in_seconds(seconds: int) -> str:
    return formatdate(time.time() + seconds, usegmt=True)


def reset_in(seconds: int) -> str:
    return str(int(time.time()) + seconds)


def about(seconds: list[float]) -> Any:
    """Headers count whole seconds."""
    return pytest.approx(seconds, abs=1.5)


@pytest.mark.parametrize(
    ("status", "on_read", "on_write"),
    [
        (302, SettingsError, UnconfirmedError),
        (400, RefusedError, RefusedError),
        (401, SettingsError, SettingsError),
        (403, RefusedError, RefusedError),
        (404, RefusedError, RefusedError),
        (408, TransientError, UnconfirmedError),
        (409, RefusedError, RefusedError),
        (422, RefusedError, RefusedError),
        (429, TransientError, TransientError),
        (500, TransientError, UnconfirmedError),
        (502, TransientError, UnconfirmedError),
        (503, TransientError, UnconfirmedError),
    ],
)
def test_a_status_says_who_moves_next(
    talk: Conversation, status: int, on_read: type[TieoutError], on_write: type[TieoutError]
):
    talk.expect((status, {"X-Request-Id": "r-1"}, {"errors": "no"}))
    for call, expected in ((talk.client.read, on_read), (talk.client.write, on_write)):
        with pytest.raises(TieoutError) as caught:
            call("POST", "/x", "invoice 1")

        assert (type(caught.value), caught.value.request_id) == (expected, "r-1")
        assert caught.value.document == "invoice 1"


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "slow_after", "cut_off", "5xx_after", "html_503"])
def test_a_write_whose_answer_is_lost_is_unconfirmed_and_sent_once(talk: Conversation, kind: str):
    hurried = Client("Vendor", talk.url, 0.2)
    talk.fault(route=".*", kind=kind, seconds=0.4)
    with pytest.raises(UnconfirmedError):
        hurried.write("POST", "/x", "invoice 1", json={})

    assert hurried.calls == 1


def test_an_answer_cut_in_half_is_unconfirmed_on_a_write_and_transient_on_a_read(talk: Conversation):
    talk.fault(route=".*", kind="truncated", times=2)
    with pytest.raises(UnconfirmedError):
        talk.client.write("POST", "/x", "invoice 1", json={})
    with pytest.raises(TransientError):
        talk.client.read_json("GET", "/x", "invoice 1")


@pytest.mark.parametrize("kind", ["reset_before", "slow_after", "cut_off", "5xx_before"])
def test_a_failed_read_is_transient(talk: Conversation, kind: str):
    hurried = Client("Vendor", talk.url, 0.2)
    talk.fault(route=".*", kind=kind, seconds=0.4)
    with pytest.raises(TransientError):
        hurried.read("GET", "/x", "invoice 1")


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_a_write_that_never_connected_is_transient(host: str):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = Client("Vendor", f"http://{host}:{unused.getsockname()[1]}", 2.0)
        with pytest.raises(TransientError):
            client.write("POST", "/x", "invoice 1", json={})


def test_a_failed_tls_handshake_is_transient_on_a_write(talk: Conversation):
    client = Client("Vendor", talk.url.replace("http:", "https:"), 2.0)
    with pytest.raises(TransientError):
        client.write("POST", "/x", "invoice 1", json={})


@pytest.mark.parametrize("address", ["", "vendor.example", "ftp://vendor.example", "https://"])
def test_an_address_that_is_none_is_a_matter_of_settings(address: str):
    with pytest.raises(SettingsError):
        Client("Vendor", address, 1.0)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        (lambda: {"Retry-After": "3"}, 3),
        (lambda: {"Retry-After": "0"}, 0),
        (lambda: {"Retry-After": in_seconds(7)}, 7),
        (lambda: {"Retry-After": in_seconds(-60)}, 0),
        (lambda: {"X-Rate-Limit-Reset": reset_in(4)}, 4),
        (lambda: {"X-Rate-Limit-Reset": reset_in(-60)}, 0),
        (lambda: {"Retry-After": "2", "X-Rate-Limit-Reset": reset_in(20)}, 2),
    ],
)
@pytest.mark.parametrize("ahead", [0.0, 3600.0, -3600.0])
def test_a_short_stated_wait_is_waited_out_whatever_our_clock_says(
    talk: Conversation, headers: Callable[[], dict[str, str]], wait: float, ahead: float
):
    talk.ahead = ahead
    for method in (talk.client.read, talk.client.write):
        talk.expect((429, headers(), {}), OK)
        method("POST", "/x", "invoice 1")

        assert talk.slept == about([wait])
        assert talk.slept[0] >= 0
        assert talk.client.calls == 2


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Retry-After": "soon"},
        {"Retry-After": "-5"},
        {"Retry-After": "900"},
        {"X-Rate-Limit-Reset": reset_in(3000)},
        {"X-Rate-Limit-Reset": "tomorrow"},
    ],
)
def test_a_long_or_unstated_wait_is_left_to_the_task(talk: Conversation, headers: dict[str, str]):
    talk.expect((429, headers, {"errors": "slow down"}))
    with pytest.raises(TransientError, match="slow down"):
        talk.client.write("POST", "/x", "invoice 1")

    assert (talk.slept, talk.client.calls) == ([], 1)


@pytest.mark.parametrize("wait", ["0", "10"])
def test_a_server_that_asks_to_wait_for_ever_is_left_after_half_a_minute(talk: Conversation, wait: str):
    talk.expect((429, {"Retry-After": wait}, {}))
    with pytest.raises(TransientError):
        talk.client.read("GET", "/x", "invoice 1")

    assert sum(talk.slept) <= 30
    assert talk.client.calls <= 32


def test_a_busy_server_is_waited_for_on_a_read_but_a_write_is_not_sent_again(talk: Conversation):
    busy = (503, {"Retry-After": "2"}, {})
    talk.expect(busy, OK)
    assert talk.client.read("GET", "/x", "invoice 1").json() == {"fine": True}
    assert talk.slept == [2.0]

    talk.expect(busy, OK)
    with pytest.raises(UnconfirmedError):
        talk.client.write("POST", "/x", "invoice 1")
    assert talk.client.calls == 1


@pytest.mark.parametrize(("seconds", "slept"), [(6, [6.0]), (3000, []), (-60, [])])
def test_a_used_up_window_is_sat_out_before_the_next_call_when_it_is_short(
    talk: Conversation, seconds: int, slept: list[float]
):
    talk.expect((200, {"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": reset_in(seconds)}, {}), OK)
    for _ in range(3):
        talk.client.read("GET", "/x", "invoice 1")

    assert talk.slept == about(slept)


def test_threads_share_a_client_and_every_call_is_counted(talk: Conversation):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: talk.client.read("GET", "/x", "invoice 1"), range(40)))

    assert talk.client.calls == len(talk.server.asked) == 40


def test_every_call_carries_the_headers_and_the_password_only_as_a_header(served: tuple[str, Server]):
    url, server = served
    client = Client("Vendor", url, 5.0, Basic("ann", "pa:ss"), {"Company": "7"})
    client.read("GET", "/x", "invoice 1", headers={"X-More": "1"})

    asked = server.asked[-1]
    assert (asked["company"], asked["x-more"], asked["authorization"]) == ("7", "1", "Basic YW5uOnBhOnNz")


def test_a_refused_password_is_not_tried_twice(talk: Conversation):
    talk.expect((401, {}, {"message": "wrong"}))
    client = Client("Vendor", talk.url, 5.0, Basic("ann", "x"))
    with pytest.raises(SettingsError, match="wrong"):
        client.read("GET", "/x", "invoice 1")

    assert client.calls == 1


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"errors": "a sentence"}, "a sentence"),
        ({"errors": ["one", "two"]}, "one; two"),
        ({"errors": {"amount": ["is odd", "is late"]}}, "amount: is odd; amount: is late"),
        ({"errors": {"message": ["is odd"], "amount": ["is late"]}}, "message: is odd; amount: is late"),
        ({"error": "invalid_client", "error_description": "Unknown"}, "invalid_client; Unknown"),
        ({"message": "Not found", "exception": "RecordNotFound"}, "Not found"),
        ({"code": 400, "message": "Bad", "fields": {"id": "odd"}, "reason": None}, "Bad; id: odd"),
        ({"error": {"code": "X", "message": "Bad", "details": [{"message": "worse"}]}}, "Bad; worse"),
        ({"message": "same", "reason": "same"}, "same"),
        (b"", "HTTP 422 Unprocessable Entity, with no explanation"),
        ({}, "HTTP 422 Unprocessable Entity, with no explanation"),
        ([], "HTTP 422 Unprocessable Entity, with no explanation"),
        (b"plain\x00 words\r\n", "plain words"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"<html><head><title>502 Bad\nGateway</title></head></html>", "an HTML page titled '502 Bad Gateway'"),
        (b"<p>Sorry</p>", "Sorry"),
    ],
)
def test_every_shape_of_error_becomes_one_sentence(body: Any, sentence: str):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    assert explain(httpx.Response(422, content=content)) == sentence


def test_an_endless_or_deep_error_body_stays_short():
    deep = '{"errors":' * 200 + '"x"' + "}" * 200

    assert len(explain(httpx.Response(400, content=b"x" * 10_000))) == 500
    assert explain(httpx.Response(400, content=deep.encode())) == "HTTP 400 Bad Request, with no explanation"


def test_the_elements_of_a_list_are_cut_out_as_they_came():
    text = ' [ {"a": 1.10} ,[ ],\n"x"  ] '

    assert list(elements(text)) == [('{"a": 1.10}', {"a": 1.1}), ("[ ]", []), ('"x"', "x")]
    assert list(elements("[]")) == list(elements(" [ ] ")) == []


@pytest.mark.parametrize("text", ["", "{}", "[", "[1", "[1,", "[1 2]", "[1]]", "[NaN]", "[" * 100_000, "[1], [2]"])
def test_what_is_not_a_list_says_so(text: str):
    with pytest.raises(ValueError, match=r"^the answer "):
        list(elements(text))


def test_floats_stay_floats_so_that_they_can_be_refused():
    assert [type(each) for each in parse_text('[1, 1.0, "1.0"]')] == [int, float, str]

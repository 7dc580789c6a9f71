"""When a bar is drawn, by a clock that the test turns; and that nothing but the bar suffers when Prefect is away."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread

import pytest
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks import _progress
from tasks._progress import due


class Step:
    """A step that does one of its things each time its clock has gone on so far; the clock waits for nobody."""

    def __init__(self, things: int, seconds_each: float) -> None:
        self.things, self.seconds_each = things, seconds_each
        self.seconds = 0.0

    def wait(self, seconds: float) -> bool:
        """Let so much time pass, or as much as the step takes; return whether it has ended."""
        self.seconds = min(self.seconds + seconds, self.things * self.seconds_each)
        return self.seconds >= self.things * self.seconds_each

    def numbers(self) -> tuple[int, int]:
        return int(self.seconds / self.seconds_each), self.things

    def drawn(self) -> list[tuple[float, tuple[int, int]]]:
        return [(self.seconds, each) for each in due(self.wait, self.numbers)]


def test_a_step_that_is_over_within_two_seconds_draws_nothing():
    assert Step(things=1000, seconds_each=0.002).drawn() == []


def test_a_slow_step_is_drawn_after_two_seconds_then_each_second_and_at_its_end():
    assert Step(things=45, seconds_each=0.1).drawn() == [(2, (20, 45)), (3, (30, 45)), (4, (40, 45)), (4.5, (45, 45))]


def test_a_thousand_things_a_second_are_one_request_a_second():
    assert len(Step(things=60_000, seconds_each=0.001).drawn()) == 59


def test_a_step_that_does_not_move_is_drawn_once():
    class Standstill(Step):
        def numbers(self) -> tuple[int, int]:
            return (0, 1) if self.seconds < 60 else (1, 1)

    assert Standstill(things=1, seconds_each=60).drawn() == [(2, (0, 1)), (60, (1, 1))]


def test_a_step_that_has_nothing_to_do_draws_nothing_however_long_it_takes():
    waits = iter([False, False, True])

    assert list(due(lambda _: next(waits), lambda: (0, 0))) == []


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """A Prefect server that takes connections and never answers; returns how many there were."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        taken: list[socket.socket] = []

        def take() -> None:
            with suppress(OSError):  # nobody came
                taken.append(listener.accept()[0])

        Thread(target=take, daemon=True).start()
        monkeypatch.setitem(flow_run.FIELDS, "id", lambda: "00000000-0000-0000-0000-000000000001")
        with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{listener.getsockname()[1]}/api"}):
            yield lambda: len(taken)


def test_a_server_that_never_answers_neither_fails_nor_delays_a_step(
    away: Callable[[], int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_progress, "_QUIET_SECONDS", 0.05)
    monkeypatch.setattr(_progress, "_PAUSE_SECONDS", 0.05)
    with _progress.shown("wait") as progress:
        deadline = time.monotonic() + 30
        while not away() and time.monotonic() < deadline:
            progress(1, 2)
            time.sleep(0.01)
        began = time.monotonic()
        progress(2, 2)

    assert away() == 1
    assert time.monotonic() - began < 0.5


def test_a_quick_step_asks_nothing_of_the_server(away: Callable[[], int]):
    with _progress.shown("hurry") as progress:
        for done in range(1000):
            progress(done, 1000)

    assert away() == 0

"""How far it is: what is counted, and the bars that a real terminal shows."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from desk import AFTER_A_NIGHT, Desk
from terminal import COMMAND, terminal

from tieout.ledger import audit
from tieout.ledger.database import copy_to
from tieout.progress import followed

WAITS = {
    "Checking every commit and invoice": ("audit", "verify"),
    "Copying the ledger": ("ledger", "backup"),
}


@pytest.fixture
def seen() -> list[tuple[int, int]]:
    return []


def test_each_value_is_told_of_when_it_has_been_worked_on(seen: list[tuple[int, int]]):
    def tell(done: int, whole: int) -> None:
        seen.append((done, whole))

    at_work = [list(seen) for _ in followed([[1, 2], [3]], 3, tell, len)]

    assert at_work == [[(0, 3)], [(0, 3), (2, 3)]]
    assert seen == [(0, 3), (2, 3), (3, 3)]


def test_a_value_that_fails_is_not_told_as_done(seen: list[tuple[int, int]]):
    with pytest.raises(ZeroDivisionError):
        for each in followed([1, 0], 2, lambda *numbers: seen.append(numbers)):
            1 / each

    assert seen == [(0, 2), (1, 2)]


@AFTER_A_NIGHT
def test_an_audit_counts_to_its_end_and_never_back(desk: Desk, seen: list[tuple[int, int]]):
    def tell(done: int, whole: int) -> None:
        seen.append((done, whole))

    assert audit.verify(desk.ledger, progress=tell) == []
    verified = list(seen)
    seen.clear()
    derived, _ = audit.rebuild(desk.ledger, tell)

    assert verified == sorted(verified)
    assert verified[0][0] == 0
    assert {whole for _, whole in verified} == {verified[-1][0]}
    assert seen == [(done, derived) for done in range(derived + 1)]


def test_a_copy_is_told_in_bytes_while_it_is_written(tmp_path: Path, seen: list[tuple[int, int]]):
    with closing(sqlite3.connect(tmp_path / "large.sqlite")) as large, large:
        large.execute("CREATE TABLE ballast (x)")
        large.executemany(
            "INSERT INTO ballast VALUES (?)", [("x" * 2000,)] * 80_000
        )  # more than SQLite keeps in memory

    copy_to(f"sqlite:///{tmp_path}/large.sqlite", tmp_path / "copy", lambda *numbers: seen.append(numbers))

    assert seen == sorted(seen)
    assert len({done for done, _ in seen}) > 1
    assert all(0 <= done <= whole for done, whole in seen)


@AFTER_A_NIGHT
@pytest.mark.parametrize("words", WAITS)
def test_a_terminal_shows_a_bar_while_one_waits(desk: Desk, tmp_path: Path, words: str):
    file = [str(tmp_path / "copy")] if words.startswith("Copying") else []
    with terminal(*WAITS[words], *file) as screen:
        shown = screen.read_to_the_end()

    assert screen.process.returncode == 0, shown
    assert words in shown


@pytest.mark.parametrize(
    ("arguments", "at", "why"),
    [
        (("sandbox", "--data", "/dev/null/here"), "Building the contractor", "Not a directory: '/dev/null/here'"),
        (("deploy",), "Loading Prefect", "is its server up, and PREFECT_API_URL its address?"),
    ],
)
def test_what_takes_long_before_it_can_say_anything_says_what_it_is_at_and_why_it_ends(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], at: str, why: str
):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")  # nobody listens there
    with terminal(*arguments) as screen:
        shown = " ".join(screen.read_to_the_end().split())

    assert screen.process.returncode == 1
    assert at in shown
    assert why in shown
    assert "Traceback" not in shown


@AFTER_A_NIGHT
def test_neither_a_pipe_nor_json_gets_a_bar(desk: Desk):
    words = "Checking every commit"
    piped = subprocess.run([*COMMAND, "audit", "verify"], capture_output=True, text=True, check=True)
    with terminal("audit", "verify", "--json") as screen:
        as_json = screen.read_to_the_end()

    assert piped.stdout.startswith("The chains are whole")
    assert piped.stderr == ""
    assert words not in as_json
    assert '"is_whole": true' in as_json

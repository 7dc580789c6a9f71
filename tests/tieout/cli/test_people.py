"""`tieout people`: a phone is set up by the QR code that a real terminal shows, and the list tells how all stand."""

import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy
import pyotp
import pytest
import zxingcpp
from builders import an_office
from desk import APPROVER, SENDER
from ledgers import Ledgers
from terminal import COMMAND, terminal

from tieout import settings
from tieout.ledger.book import Ledger
from tieout.people import codes
from tieout.people.rights import APPROVER as ACCOUNTING_APPROVER
from tieout.people.rights import Signature, objections

PROMPT = "The six digits that the app shows"
KEY = "a key of the company that is long enough"
# Which halves of a character are light: segno draws two rows of the code in one line.
HALVES = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}


@pytest.fixture
def url(ledger_url: str, ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch) -> str:
    rights = {"erp_integrations": "standard", "can_push_to_accounting": True}
    people = [{"name": APPROVER, "email": "dana@example.com", **rights}, {"name": SENDER, "commitments_admin": [7, 8]}]
    monkeypatch.setenv("TIEOUT_LEDGER__URL", ledger_url)
    monkeypatch.setenv("TIEOUT_PEOPLE", json.dumps(people))
    monkeypatch.setenv("TIEOUT_APPROVAL__KEY", KEY)
    monkeypatch.setenv("TIEOUT_COMPANY__NAME", "Ames & Sons")
    return ledger_url


def scan(shown: str) -> str:
    """Return what a phone's camera reads from a terminal."""
    lines = [line for line in shown.replace("\r", "").split("\n") if line and set(line) <= set(HALVES)]
    rows = [[HALVES[each][half] for each in line] for line in lines for half in (0, 1)]
    picture = numpy.kron(numpy.array(rows, dtype=numpy.uint8), numpy.full((8, 8), 255, dtype=numpy.uint8))
    [read] = zxingcpp.read_barcodes(picture)
    return str(read.text)


def sign(url: str, code: str) -> list[str]:
    now = datetime.now(UTC)
    with Ledger(url) as ledger, ledger.transaction(now, APPROVER) as tx:
        return objections(tx, settings.read(), Signature(APPROVER, code), ACCOUNTING_APPROVER)


def listed() -> dict[str, dict[str, Any]]:
    done = subprocess.run([*COMMAND, "people", "list", "--json"], capture_output=True, text=True, check=True)
    return {row["name"]: row for row in json.loads(done.stdout)}


def test_a_phone_is_set_up_by_the_qr_code_in_the_terminal(url: str):
    with terminal("people", "enrol", APPROVER) as screen:
        shown = screen.read_until(PROMPT)
        uri = scan(shown)
        phone = pyotp.parse_uri(uri)
        assert isinstance(phone, pyotp.TOTP)
        assert (phone.name, phone.issuer) == (APPROVER, "tieout Ames & Sons")
        assert str(phone.secret) not in shown  # but for those who can read a QR code
        before = int(time.time()) - 30
        screen.type("000000" if phone.at(before) != "000000" else "000001")
        assert "That is not the current code." in screen.read_until(PROMPT)
        screen.type(phone.at(before))
        screen.read_until(f"count for {APPROVER}.")

    assert screen.process.returncode == 0
    assert sign(url, phone.now()) == []
    [codes_of_approver, codes_of_sender] = [listed()[name]["codes"] for name in (APPROVER, SENDER)]
    assert (codes_of_approver, codes_of_sender) == ("set up (1)", "none")


def test_the_address_in_the_code_is_printed_where_it_is_asked_for_and_nothing_counts_unconfirmed(url: str):
    with terminal("people", "enrol", APPROVER, "--show-uri") as screen:
        shown = screen.read_until(PROMPT)
        assert scan(shown) in shown
        for _ in range(2):
            screen.type("wrong")
            screen.read_until(PROMPT)
        screen.type("wrong")
        screen.read_until("Nothing was changed")

    assert screen.process.returncode == 1
    assert listed()[APPROVER]["codes"] == "none"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Somebody Else"], "there is no [[people]] of that name"),
        ([APPROVER], "shown in a terminal only"),  # not in the log of whatever runs it
    ],
)
def test_nobody_is_set_up_who_is_unknown_or_where_others_read_along(url: str, arguments: list[str], words: str):
    done = subprocess.run([*COMMAND, "people", "enrol", *arguments], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert words in " ".join(done.stderr.split())
    assert "█" not in done.stdout


def test_without_a_key_it_says_which(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TIEOUT_APPROVAL__KEY", "short")
    with terminal("people", "enrol", APPROVER) as screen:
        screen.read_until("shorter than 32 bytes")

    assert screen.process.returncode == 1


def test_the_list_tells_who_may_do_what_and_who_is_locked_until_somebody_unlocks_them(url: str):
    before = datetime.now(UTC) - timedelta(minutes=5)
    with Ledger(url) as ledger:
        issued = codes.issue(ledger, APPROVER, an_office(lambda: before))
        phone = pyotp.parse_uri(issued.uri)
        assert isinstance(phone, pyotp.TOTP)
        assert codes.confirm(ledger, issued, phone.at(before), an_office(lambda: before))
    for _ in range(5):
        sign(url, "wrong")

    rows = listed()
    assert rows[APPROVER]["may"] == "accounting approver; payment sync by hand"
    assert rows[SENDER]["may"] == "send from 7, 8"
    assert rows[APPROVER]["locked"].startswith("locked until ")
    assert rows[SENDER]["locked"] == ""
    done = subprocess.run([*COMMAND, "people", "list"], capture_output=True, text=True, check=True)
    assert "dana@example.com" in done.stdout

    told = [unlocked(name) for name in (APPROVER, APPROVER, "Somebody Else")]
    assert [words for words, _ in told] == [
        f"{APPROVER} may sign again.",
        f"{APPROVER} was not locked.",
        "[Settings Error] Settings is not set up for 'Somebody Else': there is no [[people]] of that name",
    ]
    assert [status for _, status in told] == [0, 0, 1]
    assert listed()[APPROVER]["locked"] == ""
    assert sign(url, phone.now()) == []


def unlocked(name: str) -> tuple[str, int]:
    done = subprocess.run([*COMMAND, "people", "unlock", name], capture_output=True, text=True, check=False)
    return done.stderr.strip(), done.returncode

"""Whoever made a rejected invoice is told, once, whatever becomes of the mail server or of us."""

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import an_office
from desk import AFTER_A_NIGHT, APPROVER, Desk
from ledgers import ON_BOTH_DATABASES

from benchmarks.post_office import PASSWORD, USER, PostOffice, a_post_office
from tieout import opening, settings
from tieout.connectors.smtp import Mailer
from tieout.errors import SettingsError
from tieout.ledger import errands, mails
from tieout.ledger.book import Ledger
from tieout.ledger.items import Item
from tieout.outbox import mail, notices
from tieout.outbox.notices import Night
from tieout.views import inquiry
from tieout.watch import alarms, preflight

REASON = "Der Nachweis fehlt: Größe prüfen ✓"
OPERATORS = "ops@contractor.example"
pytestmark = [AFTER_A_NIGHT]


def reject(desk: Desk, reason: str = REASON, count: int = 1) -> list[Item]:
    """Have an approver reject the first invoices that are Ready to Export; return them."""
    chosen = desk.items("READY")[:count]
    offer = desk.offer(chosen[0].project_id)
    assert offer
    decided = desk.decide(offer, [], [(item.number, reason) for item in chosen])
    assert not decided.problems
    return chosen


def creator(desk: Desk, item: Item) -> str:
    """Return the address of whoever made the invoice, as Procore has it."""
    return str(desk.requisition(item.invoice_id)["created_by"]["login"])


def waiting(desk: Desk) -> int:
    with desk.ledger.reading() as connection:
        return len(mails.open_ids(connection))


@ON_BOTH_DATABASES
def test_whoever_made_a_rejected_invoice_is_told_once_with_everything_to_mend_it(desk: Desk, post_office: PostOffice):
    [item] = reject(desk)
    assert (desk.mail().sent, desk.mail().sent) == (1, 0)

    [told] = post_office.taken
    body = told.get_content()
    assert told["To"] == creator(desk, item)
    assert told["Subject"] == f"tieout: Rejected: invoice {item.number} of {item.project}"
    for words in (
        item.project,
        item.number,
        item.vendor,
        REASON,
        APPROVER,
        "2026-03-04 12:00 EST",
        "edit it in Procore",
    ):
        assert words in body
    assert f"https://app.procore.com/{item.project_id}/" in body
    assert f"/{item.invoice_id}" in body
    for name, amount in (("Gross", item.gross), ("Retainage held", item.held), ("Net", item.net)):
        assert f"{name}: ${amount:,.2f}" in body


@pytest.mark.parametrize(
    ("answer", "arrived"), [("451 try later", 0), ("421 shutting down", 0), ("drop", 0), ("lose", 1)]
)
def test_what_the_server_does_not_take_now_is_sent_again_and_shown_once(
    desk: Desk, post_office: PostOffice, answer: str, arrived: int
):
    reject(desk)
    post_office.answers = [answer]
    first = desk.mail()
    assert (first.sent, first.later, first.refusals) == (0, 1, ())
    assert first.why.startswith("[Mail Error] ")
    assert len(post_office.taken) == arrived
    again = desk.mail()

    # An answer that is lost after DATA cannot be told from a message that is: it comes twice, under one Message-ID.
    assert (again.sent, len(post_office.taken), len(post_office.shown)) == (1, arrived + 1, 1)
    assert len({each.as_bytes() for each in post_office.taken}) == 1


def test_a_mail_that_is_refused_for_good_is_told_to_a_person_and_the_rejection_stands(
    desk: Desk, post_office: PostOffice
):
    items = reject(desk, count=2)
    post_office.answers = ["550 no such mailbox"]
    done = desk.mail()

    assert (done.sent, done.later) == (1, 0)
    assert done.refusals == (f"[Mail Error] Mail refused mail to {creator(desk, items[0])}: 550 no such mailbox",)
    assert {desk.item(each.invoice_id).state for each in items} == {"REJECTED"}
    *_, (_, what, stands) = inquiry.timelines(desk.ledger, items)[items[0].item_id]
    assert (what, stands) == (f"mail to {creator(desk, items[0])}", f"not sent: {done.refusals[0]}")
    assert desk.mail() == mail.Mailed()


def test_a_mail_that_is_put_off_for_days_comes_back(desk: Desk, post_office: PostOffice):
    reject(desk)
    desk.clock.advance(days=5, seconds=1)
    post_office.answers = ["452 mailbox full"]

    assert "given up after 5 days: 452 mailbox full" in desk.mail().refusals[0]


def test_while_the_server_is_away_every_mail_waits_and_none_is_marked(desk: Desk):
    with a_post_office() as office:
        desk.set("mail", **office.settings)
        reject(desk, count=3)
    gone = desk.mail()

    assert (gone.sent, gone.later) == (0, 3)
    assert "Connection refused" in gone.why
    desk.clock.advance(hours=27)
    desk.set("watch", night_hours=100, listing_hours=100)
    [rings] = [each for each in alarms.ringing(desk.ledger, desk.office) if each.check == "mails"]
    assert rings.message.startswith("Mails that the mail server has not taken: 3.")


def test_without_a_mail_server_nobody_is_told_and_decisions_stand(desk: Desk):
    [item] = reject(desk)

    assert (desk.item(item.invoice_id).state, waiting(desk), desk.mail()) == ("REJECTED", 0, mail.Mailed())
    [warning] = [each for each in preflight.inspect(desk.office).problems if each.check == "mail"]
    assert "mail.host is empty" in warning.message
    assert not warning.is_blocking


@ON_BOTH_DATABASES
def test_two_workers_at_once_send_each_mail_once(desk: Desk, post_office: PostOffice):
    reject(desk, count=5)
    with ThreadPoolExecutor(2) as pool:
        ledgers = [Ledger(settings.read().ledger_url) for _ in range(2)]
        mailers = [Mailer(settings.read().mail) for _ in range(2)]
        done = list(pool.map(mail.deliver, ledgers, mailers, [desk.office] * 2))
    for ledger in ledgers:
        ledger.engine.dispose()

    assert (sum(each.sent for each in done), len(post_office.taken)) == (5, 5)


def test_a_worker_that_was_stopped_past_its_lease_settles_nothing(desk: Desk, post_office: PostOffice):
    reject(desk)
    with desk.ledger.transaction(desk.clock(), "mail") as tx:
        theirs = mails.claim(tx, 1, settings.read().export.lease, timedelta(seconds=100))
    assert theirs
    assert desk.mail() == mail.Mailed()  # it is theirs for now
    desk.clock.advance(minutes=10)
    assert desk.mail().sent == 1

    with desk.ledger.transaction(desk.clock(), "mail") as tx:
        assert not errands.give_back(tx, theirs, "too late")
    assert waiting(desk) == 0


@ON_BOTH_DATABASES
@pytest.mark.parametrize("words", ["x\r\nBcc: eve@evil.example\r\n\r\nHello", "x\n.\nQUIT\n", "\x00\x1b[2J"])
def test_words_of_people_cannot_become_part_of_the_envelope(desk: Desk, post_office: PostOffice, words: str):
    desk.edit(desk.items("READY")[0].invoice_id, invoice_number="A\r\nCc: e@e.de")
    desk.read()
    desk.judge()
    [item] = reject(desk, reason=words)
    desk.mail()

    [told] = post_office.taken
    assert told["To"] == creator(desk, item)
    assert set(told.keys()) == {
        "Message-ID", "Date", "From", "To", "Subject", "Auto-Submitted", "MIME-Version",
        "Content-Type", "Content-Transfer-Encoding",
    }  # fmt: skip
    assert told["Subject"].startswith("tieout: Rejected: invoice A")


@pytest.mark.parametrize("login", [None, "ada", "ada@x.example, eve@evil.example", "ada@x.example\nBcc: e@e.example"])
def test_where_the_creator_has_no_address_the_approver_is_told_and_the_rejection_stands(
    desk: Desk, post_office: PostOffice, login: str | None
):
    item = desk.items("READY")[0]
    shown = desk.requisition(item.invoice_id)
    desk.edit(item.invoice_id, created_by={**shown["created_by"], "name": "Åsa Ström", "login": login}, comment="new")
    desk.bill_more(item.invoice_id)
    desk.read()
    desk.judge()
    offer = desk.offer(item.project_id)
    assert offer
    decided = desk.decide(offer, [], [(desk.item(item.invoice_id).number, REASON)])

    assert decided.untold == (
        f"{item.number}: no email to Åsa Ström, who made it, because Procore shows no email address; "
        "please tell them the reason",
    )
    assert desk.decide(offer, [], []) == decided  # the same answer again is told the same
    assert (desk.item(item.invoice_id).state, desk.mail(), post_office.taken) == ("REJECTED", mail.Mailed(), [])


# TLS and the account.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed but itself, with its key."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout {path} -out {path}.crt"
    subprocess.run([*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
def secured(desk: Desk, certificate: Path) -> Iterator[PostOffice]:
    with a_post_office(certificate, asks_who=True) as office:
        account = {"user": USER, "password": PASSWORD, "ca_file": certificate}
        desk.set("mail", **office.settings | {"security": "starttls"} | account)
        yield office


def test_a_mail_leaves_by_starttls_and_a_password(desk: Desk, secured: PostOffice):
    reject(desk)

    assert (desk.mail().sent, len(secured.taken)) == (1, 1)
    with opening.open_mailer(an_office()) as mailer:
        assert mailer.check() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ca_file": ""}, "no trusted TLS: CERTIFICATE_VERIFY_FAILED"),
        ({"ca_file": "nowhere.pem"}, "No such file"),
        ({"password": "wrong"}, "535 "),
        ({"user": ""}, "530 "),
        ({"security": "tls"}, "no trusted TLS: WRONG_VERSION_NUMBER"),
    ],
)
def test_a_server_that_is_not_trusted_or_does_not_know_us_is_an_operators_matter(
    desk: Desk, secured: PostOffice, changes: dict[str, Any], words: str
):
    [item] = reject(desk)
    right = {name: getattr(settings.read().mail, name) for name in changes}
    desk.set("mail", **changes)
    if changes == {"ca_file": ""}:
        desk.patch.delenv("TIEOUT_MAIL__CA_FILE")
    with pytest.raises(SettingsError, match=re.escape(words)) as refused:
        desk.mail()

    assert PASSWORD not in str(refused.value)
    assert (desk.item(item.invoice_id).state, waiting(desk), secured.taken) == ("REJECTED", 1, [])
    desk.set("mail", **right | ({"password": PASSWORD} if "password" in changes else {}))
    assert (desk.mail().sent, len(secured.taken)) == (1, 1)


def test_a_server_without_tls_gets_nothing(desk: Desk, post_office: PostOffice):
    reject(desk)
    desk.set("mail", security="starttls")
    with pytest.raises(SettingsError, match="STARTTLS"):
        desk.mail()

    assert post_office.taken == []


# Nights, reviews and alarms.


def test_an_alarm_is_told_when_it_begins_and_when_it_is_over(desk: Desk, post_office: PostOffice):
    alarms.note_night(desk.ledger, desk.office)
    for hours in (1, 26, 1, 1):
        desk.clock.advance(hours=hours)
        notices.tell_of_alarms(desk.ledger, alarms.ringing(desk.ledger, desk.office), desk.office)
        desk.mail()
    [begun] = [each for each in post_office.to(OPERATORS) if "night" in each["Subject"]]
    assert begun["Subject"] == "tieout: Alarm: night"
    assert "last night finished" in begun.get_content()

    alarms.note_night(desk.ledger, desk.office)
    for _ in range(2):
        notices.tell_of_alarms(desk.ledger, alarms.ringing(desk.ledger, desk.office), desk.office)
        desk.mail()

    subjects = [each["Subject"] for each in post_office.taken if "night" in each["Subject"]]
    assert subjects == ["tieout: Alarm: night", "tieout: Over: night"]


def test_a_review_that_waits_too_long_is_told_once(desk: Desk, post_office: PostOffice):
    for hours in (71, 2, 2, 200):
        desk.clock.advance(hours=hours)
        notices.remind_of_reviews(desk.ledger, desk.office)
    desk.mail()

    [told] = post_office.to(OPERATORS)
    assert told["Subject"].startswith("tieout: A review waits: ")
    assert "2026-03-04 12:00 EST" in told.get_content()


def test_a_night_with_failures_is_one_mail_with_its_causes(desk: Desk, post_office: PostOffice):
    desk.set("prefect", ui_url="http://prefect")
    items = [each._replace(cause=cause) for each, cause in zip(desk.items(), ("b", "a", "a"), strict=False)]
    quiet = Night("run-1", "Night of 2026-03-04", [], items, [])
    bad = replace(quiet, run_id="run-2", failed=items, unfinished=["collect payments: it is away"])
    for night in (quiet, bad, bad):
        notices.tell_of_night(desk.ledger, night, desk.office)
    desk.mail()

    [told] = post_office.to(OPERATORS)
    assert told["Subject"] == "tieout: Night of 2026-03-04: 3 failed"
    body = told.get_content().replace("\r\n", "\n")
    assert "- a: 2\n- b: 1\nhttp://prefect/runs?state=Failed%20to%20Export" in body
    assert "collect payments: it is away" in body
    assert "http://prefect/runs/flow-run/run-2" in body

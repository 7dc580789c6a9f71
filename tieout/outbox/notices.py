"""What people are told by mail: a rejection, a night that had failures, a review that waits, an alarm's two ends.

A notice is put in the same commit as what it tells of; `mail.py` delivers it. Without `[mail]` nobody is told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from data_contracts.invoice import Invoice, Person
from data_contracts.mail import is_address
from data_contracts.money import in_words
from data_contracts.reference import Problem
from data_contracts.text import plain
from tieout.connectors.procore import parse_invoice, web_url
from tieout.ledger import ages, alarms, mails, sightings
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.items import Item
from tieout.office import Office
from tieout.settings import Settings
from tieout.wording import Places, by_cause, run_at, runs_at

_LONGEST_SUBJECT = 200


@dataclass(frozen=True)
class Night:
    """What a mail tells of a night that had failures."""

    run_id: str
    name: str
    failed: Sequence[Item]  # in this night
    failing: Sequence[Item]  # all that are failing now
    unfinished: Sequence[str]


def tell_of_rejection(tx: Transaction, settings: Settings, item: Item, reason: str) -> str:
    """Owe a mail to whoever made the invoice, and to whoever sent it (R32, AM-6).

    Returns what the approver must know: that its creator could not be told. The rejection stands.
    """
    if not settings.mail.is_on:
        return ""
    creator = _creator(tx, item)
    address = creator.email if creator and creator.email and is_address(creator.email) else None
    sender = settings.people.get(item.sent_by) if settings.mail.notify_sender else None
    recipients = dict.fromkeys(each for each in (address, sender.email if sender else "") if each and is_address(each))
    key = f"rejected/{item.item_id}/{item.version}"
    subject, body = f"Rejected: invoice {item.number} of {item.project}", _rejection(tx, settings, item, reason)
    _put(tx, settings.mail.sender, key, recipients, subject, body, item)
    if address:
        return ""
    name = f"{creator.name}, who made it," if creator and creator.name else "its creator"
    return f"{item.number}: no email to {name} because Procore shows no email address; please tell them the reason"


def tell_of_night(ledger: Ledger, night: Night, office: Office) -> None:
    """Owe the operators one mail for a night that had failures, however many; none for one that had not."""
    if not (night.failed or night.unfinished):
        return
    with ledger.transaction(office.clock(), "notices") as tx:
        heads = f"{len(night.failed)} failed" if night.failed else "a step did not finish"
        _tell_operators(
            tx, office.settings, f"night/{night.run_id}", f"{night.name}: {heads}", _night(office.settings, night)
        )


def remind_of_reviews(ledger: Ledger, office: Office) -> None:
    """Owe the operators one mail for each project in which an invoice waits too long for its approver."""
    now, limit = office.clock(), timedelta(hours=office.settings.watch.review_hours)
    with ledger.transaction(now, "notices") as tx:
        for project_id, waiting in ages.ready(tx.connection).items():
            if now - waiting.since > limit:
                since = _told_at(office.settings, waiting.since)
                body = (
                    f"Invoices have waited in Ready to Export since {since}; the first is {waiting.what}.\n\n"
                    "Accounting: press Resume on the review of this project, and accept or reject them.\n"
                    f"{_view(office.settings, 'Suspended')}\n"
                )
                key = f"review/{project_id}/{waiting.since:%Y%m%dT%H%M%S}"
                _tell_operators(tx, office.settings, key, f"A review waits: {waiting.what}", body)


def tell_of_alarms(ledger: Ledger, ringing: Iterable[Problem], office: Office) -> None:
    """Owe the operators a mail for each alarm that has begun to ring since the last look, and for each that is over."""
    now_ringing: dict[str, list[Problem]] = {}
    for problem in ringing:
        now_ringing.setdefault(problem.check, []).append(problem)
    with ledger.transaction(office.clock(), "notices") as tx:
        known = alarms.began(tx.connection)
        for name, problems in now_ringing.items():
            if name not in known and alarms.begin(tx, name):
                told = "\n\n".join(f"{each.message}\n{each.remedy}" for each in problems)
                key = f"alarm/{name}/{tx.now:%Y%m%dT%H%M%S%f}/begins"
                _tell_operators(
                    tx, office.settings, key, f"Alarm: {name}", f"{told}\n\n{_view(office.settings, 'Alarm')}\n"
                )
        for name, began_at in known.items():
            if name not in now_ringing and alarms.end(tx, name):
                body = f"The alarm {name}, which began at {_told_at(office.settings, began_at)}, is over.\n"
                _tell_operators(
                    tx, office.settings, f"alarm/{name}/{began_at:%Y%m%dT%H%M%S%f}/over", f"Over: {name}", body
                )


def _tell_operators(tx: Transaction, settings: Settings, key: str, subject: str, body: str) -> None:
    section = settings.mail
    if section.is_on:
        _put(tx, section.sender, key, dict.fromkeys(section.operators), subject, body)


def _put(
    tx: Transaction, sender: str, key: str, recipients: Iterable[str], subject: str, body: str, item: Item | None = None
) -> None:
    text = "".join(each if each.isprintable() or each == "\n" else " " for each in body)
    mails.put(tx, key, recipients, sender, plain(f"tieout: {subject}", _LONGEST_SUBJECT), text, item)


def _creator(tx: Transaction, item: Item) -> Person | None:
    """Return who made the invoice in Procore, by the body that was judged."""
    body = sightings.bodies(tx.connection, [item.snapshot_id])[item.snapshot_id]
    invoice = parse_invoice(body, item.company_id)
    return invoice.created_by if isinstance(invoice, Invoice) else None


def _rejection(tx: Transaction, settings: Settings, item: Item, reason: str) -> str:
    amounts = {"Gross": item.gross, "Retainage held": item.held, "Net": item.net}
    facts = {
        "Project": item.project,
        "Invoice": f"{item.number}, {item.vendor}",
        **{name: in_words(amount, item.currency) for name, amount in amounts.items()},
        "Rejected by": tx.actor,
        "Rejected at": _told_at(settings, tx.now),
    }
    lines = [f"{name}: {plain(value)}" for name, value in facts.items()]
    return (
        "Accounting has rejected this subcontractor invoice; it will not be exported as it is.\n\n"
        f"{chr(10).join(lines)}\n\nReason:\n{reason}\n\n"
        "You can edit it in Procore again, on the Invoices tab of its commitment. "
        "Once it is corrected, you can send it to the ERP again.\n"
        f"{Places(procore=web_url(settings)).in_procore(item)}\n"
    )


def _night(settings: Settings, night: Night) -> str:
    causes = [f"- {cause}: {len(items)}" for cause, items in by_cause(night.failed).items()]
    parts = (
        [f"Failed in this night, by cause:\n{chr(10).join(causes)}\n{_view(settings, 'Failed to Export')}"]
        if causes
        else []
    )
    if night.unfinished:
        parts.append("Steps that did not finish:\n" + "\n".join(f"- {plain(each)}" for each in night.unfinished))
    parts.append(f"Failing now, with those of earlier nights: {len(night.failing)}")
    parts.append(f"The whole report: {run_at(settings.prefect.ui_url, night.run_id)}")
    return "\n\n".join(parts) + "\n"


def _view(settings: Settings, state: str) -> str:
    return runs_at(settings.prefect.ui_url, state)


def _told_at(settings: Settings, moment: datetime) -> str:
    return f"{moment.astimezone(settings.company.zone):%Y-%m-%d %H:%M %Z}"

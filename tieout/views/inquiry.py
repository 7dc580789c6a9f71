"""What a person is shown of the ledger: counts, failures by cause, one invoice's story, icons of payment status."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from data_contracts.fetched import UnreadableInvoice
from data_contracts.invoice import Invoice
from data_contracts.money import from_minor, in_words
from tieout.connectors.procore import invoice_paths, parse_invoice
from tieout.judgement.cases import previous_invoices
from tieout.ledger import history, links, mails, sightings, states
from tieout.ledger.book import Ledger
from tieout.ledger.history import Happened
from tieout.ledger.intents import sent_vouchers
from tieout.ledger.items import Item
from tieout.ledger.payments import applications, count_written
from tieout.ledger.states import EXPORTED, FAILED, HELD, NOT_EXPORTABLE, UNCERTAIN
from tieout.views.derivation import Derivation, derive

_APART = timedelta(hours=1)  # so much may Prefect's clock be ahead of ours, or ours be set back while a run goes on
# R83 with AM-13: blue is sent and pending, green has a confirmed ERP id, yellow was taken back.
BLUE, GREEN, YELLOW = "blue", "green", "yellow"


def counts(ledger: Ledger) -> dict[str, int]:
    """Return how many items are in each state, every state named."""
    with ledger.reading() as connection:
        found = history.count_states(connection)
    return {state: found.get(state, 0) for state in states.ALL}


def stopped(ledger: Ledger) -> dict[str, dict[str, list[Item]]]:
    """Return what did not make it, by state and cause, the most frequent cause first."""
    groups: dict[str, dict[str, list[Item]]] = {}
    for state in (FAILED, UNCERTAIN, HELD, NOT_EXPORTABLE):
        by_cause: dict[str, list[Item]] = {}
        for item in ledger.items(state=state):
            by_cause.setdefault(item.cause or "unknown outcome", []).append(item)
        groups[state] = dict(sorted(by_cause.items(), key=lambda pair: -len(pair[1])))
    return groups


def drifted(ledger: Ledger) -> list[Item]:
    """Return what was changed on either side since its export, and nobody let stand."""
    with ledger.reading() as connection:
        return links.drifted(connection)


def to_release(ledger: Ledger) -> list[Item]:
    """Return the invoices of which retention is to be released by hand in the ERP, and nobody said that it was."""
    with ledger.reading() as connection:
        return links.to_release(connection)


def brought_about(ledger: Ledger, actor: str, since: datetime) -> tuple[list[Item], list[Item]]:
    """Return what this actor exported, and what it left failed or with an unknown outcome."""
    with ledger.reading() as connection:
        moved = history.moved_by(connection, actor, since - _APART)
    found = ledger.items(item_id=list(moved))
    exported = [each for each in found if moved[each.item_id].kinds & {states.CREATE, states.FIND}]
    failed = [each for each in found if moved[each.item_id].state in (states.FAILED, states.UNCERTAIN)]
    return exported, [each._replace(state=moved[each.item_id].state) for each in failed]


def batches(items: Sequence[Item]) -> dict[str, int]:
    """Return how many of these items are in each batch of the ERP."""
    return dict(Counter(item.batch_code or "" for item in items))


def timeline(ledger: Ledger, item: Item) -> list[Happened]:
    """Return everything that happened to an invoice, in order."""
    with ledger.reading() as connection:
        return history.events(connection, item.item_id)


def timelines(ledger: Ledger, items: Sequence[Item]) -> dict[int, list[tuple[str, str, str]]]:
    """Return what happened to each of these, by item id, in order: when (UTC), what, by whom; then its mails."""
    with ledger.reading() as connection:
        found = history.events_of(connection, [item.item_id for item in items])
        mailed = mails.of_items(connection, list(found))
    told = {
        item_id: [(f"{each.at:%Y-%m-%d %H:%M:%S}", f"{each.kind} → {each.after}", each.actor) for each in happened]
        for item_id, happened in found.items()
    }
    for item_id, at, recipient, stands in mailed:
        told[item_id].append((f"{at:%Y-%m-%d %H:%M:%S}", f"mail to {recipient}", stands))
    return told


def derivations(ledger: Ledger, items: Sequence[Item]) -> dict[int, Derivation | UnreadableInvoice]:
    """Return by item id how the figures of each came about, as it was judged; or why Procore's invoice is unreadable.

    It must come to what was sent, or else to what the ledger says of it.
    """
    with ledger.reading() as connection:
        bodies = sightings.bodies(connection, [item.snapshot_id for item in items])
        parsed = {item.item_id: parse_invoice(bodies[item.snapshot_id], item.company_id) for item in items}
        readable = {item_id: each for item_id, each in parsed.items() if isinstance(each, Invoice)}
        earlier = previous_invoices(connection, list(readable.values()))
        sent = sent_vouchers(connection, items)
    made: dict[int, Derivation | UnreadableInvoice] = {}
    for item in items:
        read = parsed[item.item_id]
        if isinstance(read, Invoice):
            previous = earlier.get(read.previous_invoice_id_procore or 0)
            agreed = sent.get(item.item_id) or (item.gross, item.held)
            made[item.item_id] = derive(read, previous, invoice_paths(bodies[item.snapshot_id]), agreed)
        else:
            made[item.item_id] = read
    return made


def payments(ledger: Ledger, item: Item) -> list[dict[str, Any]]:
    """Return the payment applications of an invoice, voids included, with whether Procore shows them."""
    with ledger.reading() as connection:
        rows = applications(connection, item.item_id)
    return [
        {
            "check": row.check_number,
            "paid_on": row.paid_on,
            "amount": in_words(from_minor(row.amount_minor, row.currency), row.currency),
            "discount": in_words(from_minor(row.discount_minor, row.currency), row.currency),
            "icon": GREEN if row.payment_id_procore else BLUE,
            "problem": row.problem,
        }
        for row in rows
    ]


def colour(state: str) -> str:
    """Return the colour of the icon under which Procore's users know this state (R83, AM-13)."""
    if state in states.OUTSIDE:
        return YELLOW
    return GREEN if state in states.IN_ERP else BLUE


def summary(ledger: Ledger) -> dict[str, Any]:
    """Return the counts that `tieout status` and the demo print."""
    exported = ledger.items(state=states.IN_ERP)
    with ledger.reading() as connection:
        paid = count_written(connection)
    return {
        "states": {state: count for state, count in counts(ledger).items() if count},
        "in the ERP": len(exported),
        "batches": batches([item for item in exported if item.state == EXPORTED]),
        "payments in Procore": paid,
    }

"""Retention that somebody has to release by hand in the ERP: told of until a person says that it was done (R38, A10).

Nothing here can see whether it was: no table that we may read tells of a release that is not paid yet.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from data_contracts.money import in_words
from data_contracts.reference import Finding
from tieout import rights
from tieout.ledger import states
from tieout.ledger.book import Item, Ledger, Transaction
from tieout.ledger.links import RELEASING
from tieout.rights import APPROVER, Signature

Clock = Callable[[], datetime]
BY_HAND = ("release-only", "release-by-hand")  # the rules that tell of it


def is_by_hand(findings: Iterable[Finding]) -> bool:
    """Whether one of these says that retention is released by hand."""
    return any(finding.rule in BY_HAND for finding in findings)


def open_release(item: Item) -> list[Finding]:
    """Return what is to be released by hand of an invoice that is in the ERP, or that will never come there."""
    if not item.to_release_minor or item.state not in RELEASING:
        return []
    told = [reason for reason in item.reasons if reason.rule in BY_HAND]
    close = f"When that is done, run confirm-release with company {item.company_id} and invoice {item.invoice_id}."
    return [each.model_copy(update={"severity": "warn", "remedy": f"{each.remedy} {close}"}) for each in told]


def confirm(ledger: Ledger, company_id: int, invoice_id: int, by: Signature, note: str, clock: Clock) -> None:
    """Record in an approver's name that the retention was released, or why it need not be; twice is once.

    Raises RefusedError without an approver's right, without a note, and where nothing is to be released.
    """
    because = {"note": note.strip(), **rights.facts(APPROVER)}
    with ledger.transaction(clock(), by.name) as tx:
        problems = rights.objections(tx, by, APPROVER)
        found = tx.items(company_id=company_id, invoice_id=invoice_id, state=RELEASING)
        waiting = [item for item in found if open_release(item)]
        if not waiting and any(is_by_hand(item.reasons) for item in found):
            return
        problems += [] if because["note"] else ["a note is needed: what was released, or why it need not be"]
        problems += [] if waiting else ["no retention of it is to be released by hand"]
        if not problems:
            _close(tx, waiting[0], because)
    rights.refuse(f"invoice {invoice_id}", problems)


def _close(tx: Transaction, item: Item, because: dict[str, str]) -> None:
    facts = because | {"released": in_words(item.to_release, item.currency)}
    tx.move(item, states.CONFIRM, item.state, facts, to_release_minor=0)

"""Retention that somebody has to release by hand in the ERP: open until a person says that it was done (R38, A10).

Nothing here can see whether it was: no table that we may read shows a release that is not paid yet.
"""

from collections.abc import Iterable

from data_contracts.reference import Finding
from tieout.ledger.items import Item
from tieout.ledger.links import RELEASING

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

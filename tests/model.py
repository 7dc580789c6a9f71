"""What becomes of an invoice, told simply: the table of the design, what follows from a judgement, an easy-going ERP.

Written from the design alone and shared with nothing in the engine, which must come to the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from builders import some_capabilities

from data_contracts.invoice import Invoice
from data_contracts.reference import Finding
from data_contracts.voucher import Created, ErpInvoice, Payment, Voucher
from tieout.ledger.items import Item
from tieout.ledger.sightings import Sighting

REQUEST, SETTLES = timedelta(seconds=30), timedelta(minutes=2)

# Design section 2. `in the ERP` stands for the four states of an invoice that exists there.
TABLE = """
-                            sent               READY HELD NOT_EXPORTABLE
REJECTED RETRIEVED UNLINKED  sent               READY HELD NOT_EXPORTABLE
READY HELD NOT_EXPORTABLE    judged_again       READY HELD NOT_EXPORTABLE
READY HELD NOT_EXPORTABLE    withdrawn          RETRIEVED
READY HELD                   retrieved          RETRIEVED
READY                        accepted           ACCEPTED
READY ACCEPTED FAILED        rejected           REJECTED
ACCEPTED                     claimed            EXPORTING
ACCEPTED FAILED              changed            READY HELD NOT_EXPORTABLE
ACCEPTED FAILED              withdrawn          RETRIEVED
ACCEPTED FAILED EXPORTING    refused            FAILED
EXPORTING                    created            EXPORTED
EXPORTING UNCERTAIN          found              EXPORTED
EXPORTING                    released           ACCEPTED FAILED
EXPORTING                    answer_lost        UNCERTAIN
UNCERTAIN                    looked             UNCERTAIN
UNCERTAIN                    absent_twice       ACCEPTED
UNCERTAIN                    adopted            EXPORTED
UNCERTAIN                    disowned           FAILED
FAILED                       retried            ACCEPTED
in_the_ERP GONE              observed           in_the_ERP GONE
in_the_ERP GONE              payment_taken_over as_before
in_the_ERP GONE              drifted            as_before
in_the_ERP GONE              drift_acknowledged as_before
EXPORTED                     amendment_sent     EXPORTED
in_the_ERP GONE              amended            as_before
in_the_ERP NOT_EXPORTABLE    release_confirmed  as_before
GONE                         unlinked           UNLINKED
"""
IN_ERP = ("EXPORTED", "POSTED", "PART_PAID", "PAID")


def read_table() -> set[tuple[str, str, str]]:
    """Return what may follow what, as (state before, event, state after)."""
    allowed = set()
    for line in TABLE.strip().replace("in_the_ERP", " ".join(IN_ERP)).splitlines():
        words = line.split()
        at = next(at for at, word in enumerate(words) if word.islower() and word != "as_before")
        for before in words[:at]:
            for after in words[at + 1 :]:
                allowed.add((before, words[at].replace("_", " "), before if after == "as_before" else after))
    return allowed


ALLOWED = read_table()
STATES = sorted({after for _, _, after in ALLOWED})
EVENTS = sorted({event for _, event, _ in ALLOWED})
# What moves nothing.
NOTES = (
    "looked", "drifted", "payment taken over", "drift acknowledged", "amendment sent", "amended", "release confirmed"
)  # fmt: skip
# What a judgement finds, by the state that it leads to.
FOUND: dict[str, list[Finding]] = {
    "READY": [],
    "HELD": [Finding(rule="unreadable", severity="hold", message="m", remedy="r", owner="accounting")],
    "NOT_EXPORTABLE": [Finding(rule="purchase-order", severity="refuse", message="m", remedy="r", owner="accounting")],
}


@dataclass
class Told:
    """One invoice as the model has it."""

    state: str = "-"
    revision: int = 0
    token: int = 0
    content: str = ""  # the hash of what was sent
    settled: int = 0  # in cents
    is_linked: bool = False  # an intent is open, its outcome is unknown, or the invoice exists in the ERP


@dataclass
class Shown:
    """What Procore shows of one invoice."""

    sighting: Sighting
    invoice: Invoice
    body: str

    @property
    def may_be_sent(self) -> bool:
        return self.sighting.status == "approved" and not self.sighting.is_gone


def judged(item: Item | None, shown: Shown, found: str, asked: bool) -> tuple[str, str] | None:
    """Return what follows from a judgement, by design section 2; None when nothing does."""
    state = item.state if item else "-"
    is_changed = item is None or item.content_hash != shown.sighting.content_hash
    is_news = item is None or [each.rule for each in item.reasons] != [each.rule for each in FOUND[found]]
    if state in ("-", "REJECTED", "RETRIEVED", "UNLINKED"):
        return ("sent", found) if shown.may_be_sent and (asked or is_changed) else None
    if state in ("EXPORTING", "UNCERTAIN", "GONE", *IN_ERP):
        return None
    if not shown.may_be_sent:
        return "withdrawn", "RETRIEVED"
    if state not in ("ACCEPTED", "FAILED"):
        return ("judged again", found) if found != state or is_changed or is_news else None
    if is_changed:
        return "changed", found
    if found == "READY":
        return ("retried", "ACCEPTED") if state == "FAILED" else None
    return ("refused", "FAILED") if state == "ACCEPTED" or is_news else None


def stage(is_posted: bool, settled: int, due: int) -> str:
    """Return how far an invoice in the ERP is."""
    if not is_posted:
        return "EXPORTED"
    return "PAID" if settled >= due > 0 else "PART_PAID" if settled > 0 else "POSTED"


class AnyERP:
    """An ERP that takes whatever arrives, at once or late, and refuses no duplicate."""

    capabilities = some_capabilities(refuses_duplicates=False, settles_within=SETTLES, request_timeout=REQUEST)

    def __init__(self) -> None:
        self.documents: list[ErpInvoice] = []
        self.under_way: list[tuple[Voucher, datetime]] = []  # until when it may still arrive
        self.paid: list[Payment] = []

    def take(self, voucher: Voucher) -> Created:
        number = f"D{len(self.documents) + 1}"
        same = voucher.model_dump(include=set(ErpInvoice.model_fields))
        self.documents.append(ErpInvoice(document_id_erp=number, state="unposted", **same))
        return Created(key=voucher.key, document_id_erp=number)

    def change(self, key: str, **changes: Any) -> None:
        self.documents = [each.model_copy(update=changes) if each.key == key else each for each in self.documents]

    def there(self, key: str) -> list[ErpInvoice]:
        return [each for each in self.documents if each.key == key]

    def find(self, vouchers: Sequence[Voucher]) -> dict[str, list[ErpInvoice]]:
        return {each.key: there for each in vouchers if (there := self.there(each.key))}

    def payments(self, since: datetime | None) -> list[Payment]:
        return [each for each in self.paid if since is None or (each.changed_at and each.changed_at >= since)]

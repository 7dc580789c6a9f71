"""Look for vouchers in the ERP: an unreadable record there concerns its own invoice and keeps back no other."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from data_contracts.voucher import ErpInvoice, Voucher
from tieout.connectors.base import ERP
from tieout.errors import ContractError
from tieout.ledger.intents import Intent


@dataclass(frozen=True)
class Found:
    """What the ERP shows of some vouchers, by key; of one with an unreadable record nobody knows what is there."""

    there: dict[str, list[ErpInvoice]] = field(default_factory=dict)
    unreadable: dict[str, ContractError] = field(default_factory=dict)

    def __contains__(self, key: str) -> bool:
        """Whether the ERP shows anything at all, readable or not."""
        return bool(self.there.get(key)) or key in self.unreadable


def find(erp: ERP, vouchers: Sequence[Voucher]) -> Found:
    """Ask the ERP for these; where it shows something unreadable, ask for each half, down to the one that it is."""
    if not vouchers:
        return Found()
    try:
        return Found(erp.find(vouchers))
    except ContractError as error:
        if len(vouchers) == 1:
            return Found(unreadable={vouchers[0].key: error})
    middle = len(vouchers) // 2
    left, right = (find(erp, part) for part in (vouchers[:middle], vouchers[middle:]))
    return Found(left.there | right.there, left.unreadable | right.unreadable)


# The ERP holds nothing, just this, something else under our key, or a stranger's invoice under its number.
Presence = Literal["new", "equal", "different", "taken"]


def look(erp: ERP, intents: Sequence[Intent]) -> Found:
    """Return what the ERP holds of these, and no key where it holds nothing.

    One that was voided counts only as long as it keeps the invoice's number taken.
    """
    found = find(erp, [intent.voucher for intent in intents])
    is_free = erp.capabilities.voids_free_numbers
    counting = {
        intent.voucher.key: [
            each for each in found.there.get(intent.voucher.key, []) if _counts(each, intent.voucher, is_free)
        ]
        for intent in intents
    }
    return replace(found, there={key: there for key, there in counting.items() if there})


def _counts(record: ErpInvoice, voucher: Voucher, is_free: bool) -> bool:
    theirs, ours = ((each.vendor_erp, each.invoice_number) for each in (record, voucher))
    return record.state != "void" or (theirs == ours and not is_free)


def compare(intent: Intent, there: Sequence[ErpInvoice]) -> Presence:
    """Say what it is that a look found, compared with what is to be sent."""
    if not there:
        return "new"
    if len(there) == 1 and there[0].equals(intent.voucher):
        return "equal"
    is_ours = any(each.key == intent.voucher.key and each.state != "void" for each in there)
    return "different" if is_ours or intent.sent_at else "taken"

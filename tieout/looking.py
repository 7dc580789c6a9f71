"""Look for vouchers in the ERP: a record there that cannot be read concerns its own invoice and keeps back no other."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from data_contracts.voucher import ErpInvoice, Voucher
from tieout.connectors.base import ERP
from tieout.errors import ContractError


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

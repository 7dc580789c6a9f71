"""What every ERP connector promises (docs/connectors.md), what it needs for that, and how one is opened.

Here is the key, too, that ties an AP invoice to Procore.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NamedTuple, Protocol, TypeVar

from data_contracts.contract import Contract
from data_contracts.reference import Problem, Reference
from data_contracts.voucher import ErpInvoice, Outcome, Payment, Unreadable, Voucher
from tieout.errors import ContractError
from tieout.settings import Settings

_Record = TypeVar("_Record", ErpInvoice, Payment)
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Capabilities(Contract):
    """What an ERP and its connector can and cannot do, as data; a `False` is refused with a reason before any call."""

    name: str
    purchase_orders: bool
    retention_release: bool
    credit_memos: bool
    tax: bool
    update: bool
    refuses_duplicates: bool  # the ERP itself refuses a second invoice of the same vendor and number, or of our key
    voids_free_numbers: bool = False  # the number of a voided invoice may be used again
    settles_within: timedelta  # after this long a write that was ever taken is visible to `find`
    request_timeout: timedelta  # the longest that one call of `create` may stay unanswered
    invoices_per_call: int
    invoice_number_length: int
    contract_number_length: int
    menu_path: str  # where accounting finds the unposted invoice (R35)
    release_path: str  # where accounting releases retention by hand (R38)
    payment_hold: bool = False  # an unposted invoice can be written with its payment on hold (C3.17)


class OpenPeriod(NamedTuple):
    """The first and the last day on which an ERP lets invoices be booked; None where it states none."""

    first: date | None = None
    last: date | None = None


class ERP(Protocol):
    """One ERP. What asks it may raise TransientError (a failed read) and SettingsError (refused credentials)."""

    capabilities: Capabilities

    def check(self) -> list[Problem]:
        """Return what stands in the way: credentials, rights, tables, closed period. Writes nothing."""

    def reference(self) -> Reference:
        """Return the master data that codes are checked against."""

    def preview(self, voucher: Voucher) -> dict[str, Any]:
        """Return the exact payload that `create` would send, with codes where the ERP has ids of its own. No I/O.

        Raises ContractError where the ERP has no place for what the voucher says.
        """

    def create(self, vouchers: Sequence[Voucher]) -> list[Outcome]:
        """Write unposted invoices; one outcome per voucher, in order.

        Raises TransientError or SettingsError when surely nothing was written, UnconfirmedError when that is unknown.
        """

    def update(self, voucher: Voucher) -> Outcome:
        """Make the unposted invoice that bears the voucher's key what the voucher says now, all of it or nothing.

        Refused where it is not there once, or is past being changed; it raises as `create` does.
        """

    def find(self, vouchers: Sequence[Voucher]) -> dict[str, list[ErpInvoice]]:
        """Return by key what the ERP holds: by our key, else by vendor and invoice number, in every state.

        Raises ContractError where one of these records cannot be understood; records of no voucher here do not count.
        """

    def invoices(self, since: datetime | None) -> Iterator[ErpInvoice | Unreadable]:
        """Yield invoices that carry our key and changed at or after `since`.

        A record that cannot be understood is yielded as such, and takes no other with it.
        """

    def payments(self, since: datetime | None) -> Iterator[Payment | Unreadable]:
        """Yield posted payment applications that changed at or after `since`, voids included (R87).

        A record that cannot be understood is yielded as such, and takes no other with it.
        """

    def close(self) -> None:
        """Release sockets and database connections."""


def invoice_key(company_id_procore: int, invoice_id_procore: int) -> str:
    """Return our key: `P`, then company and invoice id in base 36, 13 digits each; 27 characters, reversible."""
    return f"P{_base36(company_id_procore)}{_base36(invoice_id_procore)}"


def parse_key(text: str) -> tuple[int, int] | None:
    """Return (Procore company id, invoice id) of a key, or None when the text is not one of ours."""
    if len(text) != 27 or text[0] != "P" or any(digit not in _DIGITS for digit in text[1:]):
        return None
    return int(text[1:14], 36), int(text[14:], 36)


@lru_cache(maxsize=10_000)  # a company's number stands in every key, an invoice's in several places
def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits.rjust(13, "0")


def found_for(vouchers: Iterable[Voucher], there: Iterable[ErpInvoice]) -> dict[str, list[ErpInvoice]]:
    """Return by key which of these records `find` promises: those with our key, else those of vendor and number."""
    by_key: dict[str | None, list[ErpInvoice]] = {}
    by_number: dict[tuple[str, str], list[ErpInvoice]] = {}
    for each in there:
        by_key.setdefault(each.key, []).append(each)
        by_number.setdefault((each.vendor_erp, each.invoice_number), []).append(each)
    return {
        voucher.key: by_key.get(voucher.key) or by_number.get((voucher.vendor_erp, voucher.invoice_number), [])
        for voucher in vouchers
    }


def readable(document: str, translate: Callable[[], _Record]) -> _Record | Unreadable:
    """Translate a record of the ERP, or say that it cannot be understood, and why."""
    try:
        return translate()
    except ContractError as error:
        reason = error.reason
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:
        reason = f"its record is unreadable ({type(error).__name__})"
    return Unreadable(document=document, reason=reason)


def all_readable(system: str, there: Iterable[ErpInvoice | Unreadable]) -> Iterator[ErpInvoice]:
    """Yield what a look found; ContractError when a record among it cannot be understood: it may be the one."""
    for each in there:
        if isinstance(each, Unreadable):
            raise ContractError(system, each.document, each.reason)
        yield each


def available_erps() -> list[str]:
    """Return the names of the ERPs that there is a connector for: the files and packages here with a `Connector`."""
    names = sorted(module.name for module in iter_modules(import_module("tieout.connectors").__path__))
    return [name for name in names if hasattr(import_module(f"tieout.connectors.{name}"), "Connector")]


def open_erp(name: str, settings: Settings) -> ERP:
    """Return the connector of that name, set up as the company has set its section."""
    connector: ERP = import_module(f"tieout.connectors.{name}").Connector.from_settings(settings)
    return connector

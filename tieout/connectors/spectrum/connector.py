"""What is asked of Spectrum and written to it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pydantic import ValidationError

from data_contracts.reference import Problem, Reference
from data_contracts.voucher import ErpInvoice, Outcome, Payment, Refused, Unreadable, Voucher
from tieout.connectors.base import Capabilities, all_readable, found_for, readable
from tieout.connectors.spectrum import info_link, translation
from tieout.connectors.spectrum.info_link import InfoLink, Seen
from tieout.connectors.spectrum.settings import SYSTEM, Settings
from tieout.connectors.spectrum.translation import WireAnswer, named, text
from tieout.connectors.wire import PATIENCE, Basic, Client, parse, request_id
from tieout.errors import RefusedError, SettingsError, TransientError, UnconfirmedError
from tieout.settings import Settings as CompanySettings

_HINTS = {
    403: "let the Authorization ID use this web service, in Data Exchange Installation",
    404: "is the address in the settings right?",
}


class Connector:
    """Spectrum for one company."""

    def __init__(self, settings: Settings, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Open nothing yet: connections are made at the first use."""
        self.settings, self._now = settings, now
        self.capabilities = _capabilities(settings)
        basic = Basic(settings.company_code, settings.authorization_id.get_secret_value())
        self._http = Client(SYSTEM, settings.url, settings.timeout, basic)
        self._info_link = InfoLink(settings)

    @classmethod
    def from_settings(cls, settings: CompanySettings) -> "Connector":
        """Build the connector that the settings describe."""
        return cls(settings.section(Settings, "spectrum"))

    def close(self) -> None:
        """Release sockets and database connections."""
        self._http.close()
        self._info_link.close()

    def preview(self, voucher: Voucher) -> dict[str, Any]:
        """Return the exact payload that `create` would send for this voucher. No I/O."""
        return translation.to_wire(voucher)

    def create(self, vouchers: Sequence[Voucher]) -> list[Outcome]:
        """Write unposted invoices in one call; one outcome per voucher, in order."""
        document = f"{len(vouchers)} invoices" if len(vouchers) > 1 else f"invoice {vouchers[0].invoice_number}"
        body = {"APInvoices": [translation.to_wire(voucher) for voucher in vouchers]}
        try:
            response = self._http.write("POST", "/vendor/invoice", document, hints=_HINTS, json=body)
        except RefusedError as refusal:
            reasons, origin = (refusal.reason,), refusal.request_id
            return [Refused(key=voucher.key, reasons=reasons, request_id=origin) for voucher in vouchers]
        try:
            answer = WireAnswer.model_validate(parse(response))
            return translation.outcomes(answer, vouchers, request_id(response))
        except ValueError as error:  # pydantic's ValidationError is one
            words = "the answer has an unknown form" if isinstance(error, ValidationError) else str(error)
            raise UnconfirmedError(SYSTEM, document, words, request_id(response)) from None

    def update(self, voucher: Voucher) -> Outcome:
        """Refuse: no web service changes an invoice that was entered."""
        return Refused(key=voucher.key, reasons=("no web service of Spectrum changes an invoice that was entered",))

    def find(self, vouchers: Sequence[Voucher]) -> dict[str, list[ErpInvoice]]:
        """Return by key what Spectrum holds: by our key in Remarks, else by vendor and invoice number."""
        there = all_readable(SYSTEM, map(self._invoice, self._info_link.invoices_of(vouchers)))
        records = {(each.vendor_erp, each.invoice_number): each for each in there}  # the last state of each
        return found_for(vouchers, records.values())

    def invoices(self, since: datetime | None) -> Iterator[ErpInvoice | Unreadable]:
        """Yield invoices that carry our key and changed at or after `since`; the last state of each comes last."""
        for invoice in map(self._invoice, self._info_link.invoices(since)):
            if isinstance(invoice, Unreadable) or (invoice.key and _is_since(invoice.changed_at, since)):
                yield invoice

    def _invoice(self, seen: Seen) -> ErpInvoice | Unreadable:
        return readable(named(seen.row), partial(translation.from_wire, seen.row, seen.state, self.settings))

    def payments(self, since: datetime | None) -> Iterator[Payment | Unreadable]:
        """Yield posted payment applications that changed at or after `since`, voids included."""
        for row in self._info_link.payments(since):
            document = f"payment {text(row.Check_Number)} of {named(row)}"
            payment = readable(document, partial(translation.payment_from_wire, row, self.settings))
            if isinstance(payment, Unreadable) or _is_since(payment.changed_at, since):
                yield payment

    def reference(self) -> Reference:
        """Return the company's vendors, jobs, phases, subcontracts and open period."""
        read = self._info_link.read
        accounts = {text(row.Cost_Type): text(row.GL_Account) for row in read(info_link.COST_TYPES)}
        open_from, open_to = self._info_link.open_period()
        return Reference(
            company_erp=self.settings.company_code,
            currency=self.settings.currency,
            vendors=tuple(map(translation.vendor, read(info_link.VENDORS))),
            jobs=tuple(map(translation.job, read(info_link.JOBS))),
            phases=tuple(translation.phase(row, accounts) for row in read(info_link.PHASES)),
            subcontracts=tuple(map(translation.subcontract, read(info_link.SUBCONTRACTS))),
            open_from=open_from,
            open_to=open_to,
        )

    def check(self) -> list[Problem]:
        """Return what stands in the way: the Authorization ID, unreadable tables, the processing dates."""
        unread = [
            _problem("tables", str(error), f"Let the Info-Link user read {table}.")
            for table, error in self._info_link.unreadable()
        ]
        return [*self._check_rest(), *(unread or self._check_period())]

    def _check_rest(self) -> Iterator[Problem]:
        try:
            self._http.read("GET", f"/vendors/{self.settings.company_code}", "the preflight")
        except SettingsError as error:
            yield _problem("credentials", str(error), "Check company code and Authorization ID in Data Exchange.")
        except RefusedError as error:
            yield _problem("rights", str(error), "Let the Authorization ID use the vendor web services.")
        except TransientError as error:
            yield _problem("connection", str(error), "Check the address, and that Spectrum's port is open.")

    def _check_period(self) -> list[Problem]:
        first, last = self._info_link.open_period()
        today = self._now().astimezone(self.settings.zone).date()
        if first is None or last is None:
            return [_problem("period", "the A/P processing dates are not set", "Set them in Spectrum.")]
        if first <= today <= last:
            return []
        closed = f"today, {today}, is outside the A/P processing dates {first} to {last}"
        return [_problem("period", closed, "Open the period in Spectrum.", is_blocking=False)]


def _capabilities(settings: Settings) -> Capabilities:
    return Capabilities(
        name="spectrum",
        purchase_orders=False,
        retention_release=False,
        credit_memos=False,
        tax=False,
        update=False,
        refuses_duplicates=True,
        settles_within=timedelta(seconds=settings.settles_seconds),
        # Connecting, sending and waiting may each take as long as the time-out, after a stated wait.
        request_timeout=timedelta(seconds=3 * settings.timeout + PATIENCE),
        invoices_per_call=settings.invoices_per_call,
        invoice_number_length=20,
        contract_number_length=10,
        menu_path="Accounts Payable > Data Entry > Vendor Invoices",
        # No public page names the screen, so this names the menu only.
        release_path="Accounts Payable > Data Entry, the retention of the subcontract",
        payment_hold=True,
    )


def _problem(check: str, message: str, remedy: str, is_blocking: bool = True) -> Problem:
    return Problem(system=SYSTEM, check=check, is_blocking=is_blocking, message=message, remedy=remedy)


def _is_since(changed_at: datetime | None, since: datetime | None) -> bool:
    return since is None or changed_at is None or changed_at >= since.replace(microsecond=0)

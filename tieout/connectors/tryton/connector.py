"""What is asked of Tryton and written to it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from data_contracts.reference import Problem, Reference
from data_contracts.voucher import Created, ErpInvoice, Outcome, Payment, Refused, Unreadable, Voucher
from tieout.connectors.base import Capabilities, all_readable, found_for
from tieout.connectors.tryton import preflight, records
from tieout.connectors.tryton.codes import Codes
from tieout.connectors.tryton.company import Company
from tieout.connectors.tryton.reference import read_reference
from tieout.connectors.tryton.rpc import Calls, chunks
from tieout.connectors.tryton.settings import SYSTEM, Settings
from tieout.connectors.tryton.translation import changed_since, to_wire
from tieout.connectors.tryton.values import Row, shown
from tieout.connectors.wire import PATIENCE
from tieout.errors import RefusedError, SettingsError, TransientError, UnconfirmedError
from tieout.settings import Settings as CompanySettings


class Connector:
    """Tryton for one company."""

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open nothing yet: the session begins at the first use."""
        self.settings, self._now, self._monotonic = settings, now, monotonic
        self.capabilities = _capabilities(settings)
        self._calls = Calls(settings)

    @classmethod
    def from_settings(cls, settings: CompanySettings) -> "Connector":
        """Build the connector that the settings describe."""
        return cls(settings.section(Settings, "tryton"))

    def close(self) -> None:
        """Release the connections."""
        self._calls.close()

    @cached_property
    def _company(self) -> Company:
        return Company.of(self._calls, self.settings)

    def preview(self, voucher: Voucher) -> dict[str, Any]:
        """Return the exact payload of this voucher, with codes where Tryton's own ids will stand. No I/O."""
        document: dict[str, Any] = shown(to_wire(voucher, self.settings))
        return document

    def create(self, vouchers: Sequence[Voucher]) -> list[Outcome]:
        """Write drafts, all in one call unless one is refused; one outcome per voucher, in order."""
        until = self._monotonic() + self.settings.timeout
        codes = Codes.of(self._calls, self._company, vouchers)
        made = {voucher.key: codes.document(voucher, self.settings) for voucher in vouchers}
        outcomes: dict[str, Outcome] = {key: each for key, each in made.items() if isinstance(each, Refused)}
        documents = {key: each for key, each in made.items() if not isinstance(each, Refused)}
        outcomes |= self._create([voucher for voucher in vouchers if voucher.key in documents], documents, until)
        return [outcomes[voucher.key] for voucher in vouchers]

    def _create(self, vouchers: Sequence[Voucher], documents: dict[str, Row], until: float) -> dict[str, Outcome]:
        """Write these together, or each half by itself where one of them is refused."""
        if not vouchers:
            return {}
        try:
            return self._create_together(vouchers, [documents[voucher.key] for voucher in vouchers], until)
        except RefusedError as refusal:
            if len(vouchers) == 1:
                return {vouchers[0].key: self._refused(vouchers[0], refusal)}
        middle = len(vouchers) // 2
        outcomes = self._create(vouchers[:middle], documents, until)
        try:
            return outcomes | self._create(vouchers[middle:], documents, until)
        except (TransientError, SettingsError) as away:
            if any(isinstance(each, Created) for each in outcomes.values()):
                raise UnconfirmedError(SYSTEM, away.document, away.reason, away.request_id) from None
            raise

    def _create_together(
        self, vouchers: Sequence[Voucher], documents: Sequence[Row], until: float
    ) -> dict[str, Outcome]:
        """Write these or none of them."""
        what = f"{len(vouchers)} invoices" if len(vouchers) > 1 else f"invoice {vouchers[0].invoice_number}"
        if self._monotonic() >= until:  # what began later might end after the sender's lease
            raise TransientError(SYSTEM, what, "too much time went by before it could be sent")
        ids = self._calls.write("account.invoice", "create", what, documents)
        if not isinstance(ids, list) or len(ids) != len(vouchers):
            raise UnconfirmedError(SYSTEM, what, "the answer does not list the invoices that were sent")
        self._note_attachments(vouchers, ids)
        return {
            voucher.key: Created(key=voucher.key, document_id_erp=str(each))
            for voucher, each in zip(vouchers, ids, strict=True)
        }

    def _note_attachments(self, vouchers: Sequence[Voucher], ids: Sequence[int]) -> None:
        """Leave a note on each invoice that has attachments in Procore, saying where they are."""
        notes = [
            {"resource": f"account.invoice,{each}", "message": "\n".join(voucher.attachments)}
            for voucher, each in zip(vouchers, ids, strict=True)
            if voucher.attachments
        ]
        if notes:  # the invoice is there, with a note or without
            with suppress(TransientError, UnconfirmedError, RefusedError):
                self._calls.write("ir.note", "create", f"{len(notes)} notes", notes)

    def _refused(self, voucher: Voucher, refusal: RefusedError) -> Outcome:
        """Say what one refusal means: where just this invoice is there already, that it was created."""
        there = self._with_key_of(voucher)
        if len(there) == 1 and there[0].equals(voucher):
            return Created(key=voucher.key, document_id_erp=there[0].document_id_erp)
        return Refused(key=voucher.key, reasons=(refusal.reason,), request_id=refusal.request_id)

    def update(self, voucher: Voucher) -> Outcome:
        """Make the draft that bears this voucher's key what the voucher says now."""
        present = [each for each in self._with_key_of(voucher) if each.state != "void"]
        if len(present) != 1:
            return Refused(key=voucher.key, reasons=(f"Tryton holds {len(present)} invoices with its key",))
        invoice_id, what = int(present[0].document_id_erp), f"invoice {voucher.invoice_number}"
        [row] = self._calls.read("account.invoice", "read", [invoice_id], ["state", "lines", "_timestamp"])
        document = Codes.of(self._calls, self._company, [voucher]).document(voucher, self.settings)
        if isinstance(document, Refused):
            return document
        if row["state"] != "draft":
            return Refused(key=voucher.key, reasons=(f"it is {row['state']} in Tryton; only a draft is changed",))
        document["lines"].insert(0, ["delete", row["lines"]])
        unchanged = {f"account.invoice,{invoice_id}": row["_timestamp"]}  # else Tryton refuses the whole
        try:
            self._calls.write("account.invoice", "write", what, [invoice_id], document, _timestamp=unchanged)
        except RefusedError as refusal:
            return Refused(key=voucher.key, reasons=(refusal.reason,), request_id=refusal.request_id)
        return Created(key=voucher.key, document_id_erp=str(invoice_id))

    def _with_key_of(self, voucher: Voucher) -> list[ErpInvoice]:
        return [each for each in self.find([voucher])[voucher.key] if each.key == voucher.key]

    def find(self, vouchers: Sequence[Voucher]) -> dict[str, list[ErpInvoice]]:
        """Return by key what Tryton holds: by our key in the description, else by vendor and invoice number."""
        found: dict[str, list[ErpInvoice]] = {}
        for chunk in chunks(vouchers):
            vendors = sorted({each.vendor_erp for each in chunk})
            by_number = [["party.code", "in", vendors], ["reference", "in", [each.invoice_number for each in chunk]]]
            wanted = [["OR", ["description", "in", [each.key for each in chunk]], by_number]]
            there = records.invoices(self._calls, self._company, wanted)
            found |= found_for(chunk, all_readable(SYSTEM, there))
        return found

    def invoices(self, since: datetime | None) -> Iterator[ErpInvoice | Unreadable]:
        """Yield invoices that carry our key and changed at or after `since`."""
        perhaps_ours = [["description", "like", "P%"], *changed_since(since)]
        for each in records.invoices(self._calls, self._company, perhaps_ours):
            if isinstance(each, Unreadable) or each.key:
                yield each

    def payments(self, since: datetime | None) -> Iterator[Payment | Unreadable]:
        """Yield payments of supplier invoices that changed at or after `since`, voids included."""
        yield from records.payments(self._calls, self._company, since)

    def reference(self) -> Reference:
        """Return the company's vendors, jobs, phases, subcontracts and open periods."""
        return read_reference(self._calls, self._company)

    def check(self) -> list[Problem]:
        """Return what stands in the way: the session, the company, a right to post, the retention account, the key."""
        try:
            return preflight.find_problems(self._calls, self._company, self.settings, self._now().date())
        except SettingsError as error:
            remedy = "Compare [tryton] with the company in Tryton, and the user's groups."
            return [preflight.problem("set-up", str(error), remedy)]
        except TransientError as error:
            return [preflight.problem("connection", str(error), "Check the address, and that Tryton is running.")]


def _capabilities(settings: Settings) -> Capabilities:
    return Capabilities(
        name="tryton",
        purchase_orders=False,
        retention_release=False,
        credit_memos=False,
        tax=False,
        update=True,
        refuses_duplicates=settings.has_unique_key,
        voids_free_numbers=True,
        settles_within=timedelta(seconds=settings.settles_seconds),
        # No call of `create` begins later than the time-out; connecting, sending and waiting may each take as long.
        request_timeout=timedelta(seconds=4 * settings.timeout + PATIENCE),
        invoices_per_call=settings.invoices_per_call,
        invoice_number_length=200,  # Tryton sets no limit; this is the ledger's
        contract_number_length=200,
        menu_path="Financial > Invoices > Supplier Invoices",
        release_path="Financial > Invoices > Supplier Invoices, a line on the retention account",
    )

"""Builders of the documents that tests start from: small, sound, and changed by keyword."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from data_contracts.case import Case, Others
from data_contracts.commitment import BillingPeriod, Commitment, CommitmentLine, CostCode, Project, ProjectBooks, Vendor
from data_contracts.invoice import Invoice, InvoiceLine, Summary
from data_contracts.reference import ErpJob, ErpPhase, ErpSubcontract, ErpVendor, Finding, Reference
from data_contracts.voucher import Payment, Voucher, VoucherLine
from tieout import settings
from tieout.clock import Clock, now
from tieout.connectors.base import Capabilities, invoice_key
from tieout.export.drift import as_text
from tieout.judgement.cases import build_case
from tieout.judgement.coding import Codes
from tieout.judgement.mapping import CodeMap, MappingRow
from tieout.ledger import states
from tieout.ledger.items import Item
from tieout.office import Office
from tieout.settings import Policy

TODAY = date(2026, 3, 4)
SPECTRUM = {
    "name": "Spectrum",
    "purchase_orders": False,
    "retention_release": False,
    "credit_memos": False,
    "tax": False,
    "invoice_number_length": 20,
    "contract_number_length": 10,
    "release_path": "Accounts Payable > Retention Release",
}
REASON = Finding(
    rule="vendor-inactive",
    severity="refuse",
    message="Vendor ACME01 is inactive in Spectrum",
    remedy="Reactivate the vendor",
    owner="bookkeeper",
    numbers={"vendor": "ACME01"},
)
CHANGED = Finding(
    rule="changed-in-erp",
    severity="warn",
    message="Changed in Spectrum since its export: gross $12,500.00 → $13,000.00",
    remedy="Have it put back in Spectrum",
    owner="accounting",
    numbers={"gross": "$12,500.00 → $13,000.00"},
)


def money(value: Any) -> Decimal:
    """Return an amount from text or a whole number, to the cent."""
    return Decimal(str(value)).quantize(Decimal("0.01"))


def a_line(**changes: Any) -> InvoiceLine:
    """A G703 line of a first invoice: 4,000 of 10,000 done, 10 % retained."""
    fields: dict[str, Any] = {
        "line_id_procore": 1,
        "kind": "contract_item",
        "commitment_line_id_procore": 10,
        "description": "Drywall",
        "wbs_code": "09-200.S",
        "scheduled_value": "10000.00",
        "work_before": "0.00",
        "work_this_period": "4000.00",
        "stored_now": "0.00",
        "completed_to_date": "4000.00",
        "work_retained": "400.00",
    }
    return InvoiceLine(**fields | changes)


def a_summary(lines: tuple[InvoiceLine, ...], certified: Decimal = Decimal(0), **changes: Any) -> Summary:
    """The G702 that foots over the lines; `certified` is line 7."""
    scheduled = {
        is_change: sum(
            (x.scheduled_value for x in lines if (x.change_order_id_procore is not None) is is_change), Decimal(0)
        )
        for is_change in (False, True)
    }
    done = sum((x.completed_to_date for x in lines), Decimal(0))
    on_work = sum((x.work_retainage_before + x.work_retained - x.work_released for x in lines), Decimal(0))
    on_stored = sum((x.stored_retainage_now for x in lines), Decimal(0))
    earned = done - on_work - on_stored
    tax = Decimal(changes.get("tax", 0))
    fields: dict[str, Any] = {
        "original_contract_sum": scheduled[False],
        "net_change_orders": scheduled[True],
        "contract_sum_to_date": scheduled[False] + scheduled[True],
        "completed_to_date": done,
        "work_retainage": on_work,
        "stored_retainage": on_stored,
        "total_retainage": on_work + on_stored,
        "earned_less_retainage": earned,
        "previous_certificates": certified,
        "payment_due": earned - certified + tax,
        "balance_to_finish": scheduled[False] + scheduled[True] - earned,
    }
    return Summary(**fields | changes)


def an_invoice(**changes: Any) -> Invoice:
    """A sound first invoice with two lines; give `lines` and the header foots over them, `certified` is line 7."""
    certified, summary = changes.pop("certified", Decimal(0)), changes.pop("summary_changes", {})
    lines = changes.pop("lines", (a_line(), a_second_line()))
    fields: dict[str, Any] = {
        "company_id_procore": 4,
        "project_id_procore": 41,
        "invoice_id_procore": 900_000_000_000_100,
        "commitment_id_procore": 77,
        "commitment_kind": "subcontract",
        "commitment_name": "Drywall",
        "period_id_procore": 5,
        "number_on_commitment": 1,
        "invoice_number": "INV-0001",
        "status": "approved",
        "vendor_id_procore": 612,
        "vendor_name": "Example Drywall",
        "billed_on": date(2026, 2, 20),
        "period_start": date(2026, 2, 1),
        "period_end": date(2026, 2, 28),
        "currency": "USD",
        "base_currency": "USD",
        "updated_at": datetime(2026, 2, 25, 12, tzinfo=UTC),
        "lines": tuple(lines),
        "summary": a_summary(tuple(lines), certified, **summary),
    }
    return Invoice(**fields | changes)


def a_second_line(**changes: Any) -> InvoiceLine:
    """A line with stored materials: 1,000 worked, 500 stored of 5,000."""
    fields: dict[str, Any] = {
        "line_id_procore": 2,
        "commitment_line_id_procore": 11,
        "description": "Ceilings",
        "wbs_code": "09-500.S",
        "scheduled_value": "5000.00",
        "work_this_period": "1000.00",
        "stored_now": "500.00",
        "completed_to_date": "1500.00",
        "work_retained": "100.00",
        "stored_retainage_now": "50.00",
    }
    return a_line(**fields | changes)


def a_next_invoice(previous: Invoice | None = None, **changes: Any) -> Invoice:
    """The invoice after `previous`, with another 1,000 of work on every line and 10 % of it retained."""
    previous = previous or an_invoice()
    lines = changes.pop("lines", tuple(continued(line) for line in previous.lines))
    fields: dict[str, Any] = {
        "invoice_id_procore": previous.invoice_id_procore + 1,
        "previous_invoice_id_procore": previous.invoice_id_procore,
        "number_on_commitment": previous.number_on_commitment + 1,
        "invoice_number": f"INV-{previous.number_on_commitment + 1:04d}",
        "certified": previous.summary.earned_less_retainage,
    }
    return an_invoice(lines=lines, **fields | changes)


def continued(before: InvoiceLine, **changes: Any) -> InvoiceLine:
    """The same line on the next invoice, 1,000 further."""
    work_before = before.work_before + before.work_this_period
    fields: dict[str, Any] = {
        "line_id_procore": before.line_id_procore + 100,
        "kind": before.kind,
        "commitment_line_id_procore": before.commitment_line_id_procore,
        "change_order_id_procore": before.change_order_id_procore,
        "description": before.description,
        "wbs_code": before.wbs_code,
        "scheduled_value": before.scheduled_value,
        "work_before": work_before,
        "work_this_period": "1000.00",
        "stored_now": before.stored_now,
        "completed_to_date": work_before + 1000 + before.stored_now,
        "work_retainage_before": before.work_retainage_before + before.work_retained - before.work_released,
        "work_retained": "100.00",
        "stored_retainage_now": before.stored_retainage_now,
    }
    return a_line(**fields | changes)


def a_commitment(**changes: Any) -> Commitment:
    """The subcontract that `an_invoice` bills, known to the ERP as 2601."""
    fields: dict[str, Any] = {
        "commitment_id_procore": 77,
        "project_id_procore": 41,
        "kind": "subcontract",
        "number": "SC-001",
        "title": "Drywall",
        "status": "Approved",
        "erp_code": "2601",
        "vendor_id_procore": 612,
        "lines": (_sov_line(10, "Drywall", "10000.00", "09-200"), _sov_line(11, "Ceilings", "5000.00", "09-500")),
    }
    return Commitment(**fields | changes)


def _sov_line(line_id: int, description: str, amount: str, code: str) -> CommitmentLine:
    return CommitmentLine(
        line_id_procore=line_id,
        description=description,
        amount=amount,
        cost_code=code,
        cost_code_erp=code.replace("-", ""),
        cost_type="S",
        cost_type_erp="SUB",
    )


def some_books(**changes: Any) -> ProjectBooks:
    """The project's books around `a_commitment`."""
    period = BillingPeriod(period_id_procore=5, start_on=date(2026, 2, 1), end_on=date(2026, 2, 28), is_open=True)
    fields: dict[str, Any] = {
        "project": Project(project_id_procore=41, name="Riverside Tower", erp_code="26-041"),
        "commitments": (a_commitment(),),
        "cost_codes": (CostCode(cost_code_id_procore=30, code="09-900", erp_code="09900"),),
        "periods": (period,),
    }
    return ProjectBooks(**fields | changes)


def a_vendor(**changes: Any) -> Vendor:
    """The subcontractor in Procore's directory."""
    return Vendor(**{"vendor_id_procore": 612, "name": "Example Drywall", "erp_code": "EXDRY"} | changes)


def a_reference(**changes: Any) -> Reference:
    """The ERP's master data in which everything of `an_invoice` is found, with February and March open."""
    fields: dict[str, Any] = {
        "company_erp": "EBC",
        "currency": "USD",
        "vendors": (ErpVendor(code="EXDRY", name="EXAMPLE DRYWALL", is_active=True),),
        "jobs": (ErpJob(number="26-041", name="RIVERSIDE TOWER", is_active=True),),
        "phases": tuple(
            ErpPhase(job="26-041", phase=phase, cost_type="SUB", is_active=True, gl_account="5000")
            for phase in ("09200", "09500")
        ),
        "subcontracts": (ErpSubcontract(number="2601", vendor="EXDRY", job="26-041", is_active=True),),
        "open_from": date(2026, 2, 1),
        "open_to": date(2026, 3, 31),
    }
    return Reference(**fields | changes)


def a_case(invoice: Invoice | None = None, previous: Invoice | None = None, **around: Any) -> Case:
    """The case of an invoice; `around` replaces what stands beside it: books, vendors, rows, reference, erp, ..."""
    books, vendors = around.get("books", some_books()), around.get("vendors", (a_vendor(),))
    rows: tuple[MappingRow, ...] = around.get("rows", ())
    today = around.get("today", TODAY)
    return build_case(
        invoice=invoice or an_invoice(),
        books=books,
        vendors=vendors,
        mapping=CodeMap(books, vendors, rows, today),
        codes=Codes(around.get("reference", _REFERENCE)),
        capabilities=some_capabilities(**around.get("erp", {})),
        previous=previous,
        others=around.get("others", Others()),
        policy=Policy(**around.get("policy", {})),
        today=today,
    )


# Invoices that need of the ERP what not every ERP can do.


def an_order(**around: Any) -> Case:
    """An invoice of a purchase order."""
    books = some_books(commitments=(a_commitment(erp_code=None, kind="purchase_order"),))
    return a_case(an_invoice(commitment_kind="purchase_order"), **{"books": books} | around)


def a_release(**around: Any) -> Case:
    """A month without work, in which retention is given back."""
    before = an_invoice()
    still = {"work_this_period": "0.00", "work_retained": "0.00", "work_released": "50.00"}
    done = [continued(line, **still, completed_to_date=line.completed_to_date) for line in before.lines]
    return a_case(a_next_invoice(before, lines=tuple(done), kind="retainage_release"), before, **around)


def a_credit(**around: Any) -> Case:
    """A month that takes back 100.00 of the work before."""
    before = an_invoice()
    credit = {"work_this_period": "-100.00", "completed_to_date": "3900.00", "work_retained": "0.00"}
    idle = {"work_this_period": "0.00", "completed_to_date": "1500.00", "work_retained": "0.00"}
    done = (continued(before.lines[0], **credit), continued(before.lines[1], **idle))
    return a_case(a_next_invoice(before, lines=done), before, **around)


def a_taxed_one(**around: Any) -> Case:
    """An invoice with 10.00 of tax."""
    return a_case(an_invoice(summary_changes={"tax": "10.00"}), **around)


def some_capabilities(**changes: Any) -> Capabilities:
    """What Spectrum can and cannot do, changed by keyword."""
    timing = {"settles_within": timedelta(seconds=5), "request_timeout": timedelta(seconds=30)}
    rest = {"update": False, "refuses_duplicates": True, "invoices_per_call": 50, "menu_path": "Accounts Payable"}
    return Capabilities(**SPECTRUM | timing | rest | changes)


_REFERENCE = a_reference()


def a_voucher_line(amount: str = "1000.00", **changes: Any) -> VoucherLine:
    fields: dict[str, Any] = {"line_id_procore": 1, "job": "24001", "phase": "03100", "cost_type": "S"}
    return VoucherLine(**fields | {"gl_account": "50200", "amount": Decimal(amount)} | changes)


def a_voucher(number: int = 1, *amounts: str, **changes: Any) -> Voucher:
    """A voucher of 900.00 net, or of lines of these amounts less 100.00, for the company of the `spectrum_books`."""
    lines = tuple(a_voucher_line(each, line_id_procore=n) for n, each in enumerate(amounts or ("1000.00",), 1))
    fields: dict[str, Any] = {
        "key": invoice_key(42, number),
        "company_erp": "ACM",
        "vendor_erp": "CONC01",
        "contract_erp": "SC-1001",
        "invoice_number": f"APP-{number}",
        "invoice_on": date(2026, 8, 31),
        "accounting_on": date(2026, 9, 1),
        "batch_code": "20260912",
        "currency": "USD",
        "gross": sum((each.amount for each in lines), Decimal(0)),
        "retention": Decimal("100.00"),
        "lines": lines,
        "source": "Invoice Imported From Procore",
    }
    return Voucher(**fields | changes)


def a_payment(**changes: Any) -> Payment:
    fields: dict[str, Any] = {
        "application_id_erp": "ACM/OPER/10001/V1/INV-1/1",
        "company_erp": "ACM",
        "vendor_erp": "V1",
        "invoice_number": "INV-1",
        "check_number": "10001",
        "paid_on": date(2026, 3, 4),
        "amount": Decimal("900.00"),
        "discount": Decimal("0.00"),
        "currency": "USD",
    }
    return Payment(**fields | changes)


def an_item(**changes: Any) -> Item:
    """An item of the ledger that failed for a reason, long ago; `reasons` and `drifted` are findings."""
    reasons = changes.pop("reasons", [REASON])
    fields: dict[str, Any] = dict.fromkeys(Item._fields, None)
    fields |= {"item_id": 1, "company_id": 4, "invoice_id": 1042, "project_id": 41, "erp": "spectrum"}
    fields |= {"state": states.FAILED, "revision": 1, "cause": "vendor-inactive", "currency": "USD"}
    fields |= {"number": "INV-1042", "vendor": "Acme Concrete", "project": "Riverside Tower"}
    fields |= {"gross_minor": 1_250_000, "held_minor": 125_000, "changed_at": datetime(2026, 9, 9, 12, 0, tzinfo=UTC)}
    fields["drift"] = as_text(changes.pop("drifted", []))
    fields["findings"] = "[" + ",".join(reason.model_dump_json() for reason in reasons) + "]"
    return Item(**fields | changes)


def an_office(clock: Clock = now, actor: str = "night") -> Office:
    """What a step would work by if it began now."""
    return Office(settings.read(), clock, actor)

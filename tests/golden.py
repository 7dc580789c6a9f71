"""Golden pairs: a commitment's invoices as Procore sends them, beside the vouchers and payloads that come of them.

`make samples` writes the expected side of every sample anew; read the difference before you commit it.
"""

import json
from pathlib import Path
from typing import Any

from builders import a_commitment, a_reference, a_vendor, some_books, some_capabilities
from pydantic import SecretStr

from data_contracts.case import Others
from data_contracts.commitment import BillingPeriod, ChangeOrder
from data_contracts.invoice import Invoice
from data_contracts.reference import ErpPhase
from data_contracts.verdicts import check
from data_contracts.voucher import Voucher
from tieout.connectors.base import invoice_key
from tieout.connectors.procore import parse_invoice
from tieout.connectors.spectrum import Connector, Settings
from tieout.judgement.billing import voucher
from tieout.judgement.cases import build_case
from tieout.judgement.coding import Codes
from tieout.judgement.mapping import CodeMap, MappingRow
from tieout.settings import Policy

FOLDER = Path(__file__).parent / "samples" / "golden"
SPECTRUM = Path(__file__).parent / "samples" / "spectrum"
COMPANY_ID, BATCH = 4, "20260307"
_NOWHERE = SecretStr("sqlite://")


def samples(folder: Path = FOLDER) -> list[Path]:
    """Return what Procore sends: each file is a commitment's invoices, oldest first."""
    return sorted(path for path in folder.glob("*.json") if ".expected" not in path.name)


def expected_of(path: Path) -> Path:
    """Return the file beside it."""
    return path.with_suffix(".expected.json")


def spectrum() -> Connector:
    """Return a connector that only previews: nothing is opened."""
    settings = Settings(
        url="http://127.0.0.1:1", company_code="EBC", authorization_id=SecretStr("x"), info_link_url=_NOWHERE
    )
    return Connector(settings)


def outcome(path: Path) -> list[dict[str, Any]]:
    """Return what becomes of each invoice: what is found, the voucher, the payload that Spectrum gets."""
    documents, made, previous = json.loads(path.read_text("utf-8")), [], None
    for document in documents:
        invoice = parse_invoice(json.dumps(document), COMPANY_ID)
        assert isinstance(invoice, Invoice), invoice
        made.append(_carried(invoice, previous))
        previous = invoice
    return made


def _carried(invoice: Invoice, previous: Invoice | None) -> dict[str, Any]:
    codes = sorted({line.wbs_code or "" for line in invoice.lines})
    rows = [row for code in codes for row in _rows(code)]
    packages = sorted({line.change_order_id_procore for line in invoice.lines if line.change_order_id_procore})
    orders = tuple(ChangeOrder(change_order_id_procore=each, status="approved") for each in packages)
    commitment = a_commitment(
        commitment_id_procore=invoice.commitment_id_procore,
        project_id_procore=invoice.project_id_procore,
        lines=(),
        change_orders=orders,
        vendor_id_procore=invoice.vendor_id_procore,
    )
    books = some_books(
        project=some_books().project.model_copy(update={"project_id_procore": invoice.project_id_procore}),
        commitments=(commitment,),
        cost_codes=(),
        periods=(_period(invoice),) if invoice.period_id_procore else (),
    )
    vendors = (a_vendor(vendor_id_procore=invoice.vendor_id_procore),)
    today = invoice.billed_on or invoice.updated_at.date()
    phases = [ErpPhase(job="26-041", phase=_phase(code), cost_type="SUB", is_active=True, gl_account="5000")
              for code in codes]  # fmt: skip
    case = build_case(
        invoice=invoice,
        books=books,
        vendors=vendors,
        mapping=CodeMap(books, vendors, tuple(rows), today),
        codes=Codes(a_reference(phases=tuple(phases), open_from=None, open_to=None)),
        capabilities=some_capabilities(),
        previous=previous,
        others=Others(),
        policy=Policy(),
        today=today,
    )
    key = invoice_key(COMPANY_ID, invoice.invoice_id_procore)
    made = voucher(case, key, BATCH, case.accounting_on)
    found = [f"{each.rule} ({each.severity}): {each.message}" for each in check([case])[invoice.invoice_id_procore]]
    if not isinstance(made, Voucher):
        return {"invoice": invoice.invoice_number, "found": found, "voucher": None, "spectrum": None}
    payload = spectrum().preview(made)
    return {
        "invoice": invoice.invoice_number,
        "found": found,
        "voucher": made.model_dump(mode="json"),
        "spectrum": payload,
    }


def _rows(code: str) -> list[MappingRow]:
    cost_code, _, cost_type = code.rpartition(".")
    phase = MappingRow(kind="phase", procore=cost_code, erp=_phase(code))
    return [phase, MappingRow(kind="cost_type", procore=cost_type, erp="SUB")]


def _phase(code: str) -> str:
    return code.rpartition(".")[0].replace("-", "")


def _period(invoice: Invoice) -> BillingPeriod:
    start = invoice.period_start or invoice.updated_at.date()
    end = invoice.period_end or start
    return BillingPeriod(period_id_procore=invoice.period_id_procore or 0, start_on=start, end_on=end, is_open=True)


def payload_of(path: Path) -> dict[str, Any]:
    """Return what Spectrum gets of a voucher that stands in a file of its own."""
    return spectrum().preview(Voucher.model_validate_json(path.read_text("utf-8")))


def main() -> None:
    """Write the expected side of every pair."""
    pairs = [(path, outcome(path)) for path in samples()]
    pairs += [(path, payload_of(path)) for path in samples(SPECTRUM)]
    for path, made in pairs:
        expected_of(path).write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What an approver reads of an uncertain invoice: what was sent beside what the ERP shows; pure."""

from collections.abc import Sequence

from data_contracts.forms import ADOPT, DISOWN
from data_contracts.voucher import ErpInvoice, Voucher
from tieout.decisions.settle import Doubt
from tieout.export.reasons import LABELS, shown
from tieout.wording import cell, run_name


def description(doubt: Doubt, problems: Sequence[str] = ()) -> str:
    """Return the text above the form: what was wrong with the last answer, both sides, and what either word does."""
    system = cell(doubt.item.erp.capitalize())
    there = "something else than what was sent"
    if len(doubt.there) > 1:
        there = f"{len(doubt.there)} AP invoices where one was sent"
    lines = [f"**Please answer again:** {cell(problem)}." for problem in problems]
    lines += [f"**{cell(run_name(doubt.item))}**: {system} shows {there}, under {cell(doubt.menu_path)}."]
    lines += [evidence(doubt)]
    lines += [
        f"**{ADOPT}**: the document is this invoice, as it is in {system}. Correct it there if it should be "
        "different, and delete any other document.",
        f"**{DISOWN}**: it is not this invoice. It goes to *Failed to Export*, and says there what to do in {system} "
        "before it is tried again.",
    ]
    return "\n\n".join(lines)


def evidence(doubt: Doubt) -> str:
    """Return both sides as a Markdown table, a column for each document; what differs is marked."""
    voucher = doubt.intent.voucher
    rows = [
        [label, cell(shown(voucher, name)), *(_beside(each, name, voucher) for each in doubt.there)]
        for name, label in LABELS.items()
    ]
    rows += [["dated", str(voucher.invoice_on), *(str(each.invoice_on or "") for each in doubt.there)]]
    rows += [["batch", voucher.batch_code, *(cell(each.batch_code or "") for each in doubt.there)]]
    rows += [["our key", "yes", *("yes" if each.key == voucher.key else "**≠** no" for each in doubt.there)]]
    rows += [["state", "", *(each.state for each in doubt.there)]]
    heads = ["field", "sent", *(cell(each.document_id_erp) for each in doubt.there)]
    table = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in table)


def _beside(record: ErpInvoice, name: str, voucher: Voucher) -> str:
    mark = "**≠** " if name in record.differences(voucher) else ""
    return mark + cell(shown(record, name))

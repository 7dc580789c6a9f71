"""Why an invoice that was or may have been sent stands still, in words: findings of the outcome, not of the rules."""

from collections.abc import Sequence
from typing import Literal

from data_contracts.money import in_words
from data_contracts.reference import Finding
from data_contracts.voucher import ErpInvoice, Refused, Voucher
from tieout.errors import ContractError
from tieout.ledger.intents import Intent
from tieout.ledger.items import Item

TRANSIENT = "transient"  # the cause of a failure that needs nobody: the next night tries again
UNREADABLE = "unreadable-in-erp"
LABELS = {  # of what is frozen of a voucher
    "vendor_erp": "vendor",
    "contract_erp": "subcontract",
    "invoice_number": "invoice number",
    "gross": "gross",
    "retention": "retention",
}
_FIGURES = ("gross", "retention")


def shown(record: Voucher | ErpInvoice, name: str) -> str:
    """Return one of the frozen names or figures as people read it."""
    value = getattr(record, name)
    return in_words(value, record.currency) if name in _FIGURES else str(value or "none")


def refused(intent: Intent, answer: Refused) -> list[Finding]:
    """Say in the ERP's own words why it did not take the invoice."""
    system = _system(intent.item)
    request = f" (request {answer.request_id})" if answer.request_id else ""
    return [
        Finding(
            rule="erp-refused",
            severity="refuse",
            message=f"[{system} Error] {reason}{request}",
            remedy=f"Fix it in {system}, or have the invoice changed in Procore, then press Retry.",
            owner="accounting",
            numbers={"gross": shown(intent.voucher, "gross")},
        )
        for reason in answer.reasons
    ]


def number_taken(intent: Intent, there: ErpInvoice) -> Finding:
    """Say that the ERP had an invoice of this vendor with this number before ours was sent."""
    voucher, system = intent.voucher, _system(intent.item)
    theirs, ours = shown(there, "gross"), shown(voucher, "gross")
    same = f"delete the one in {system} and press Retry"
    if not _may_be_deleted(there):
        same = "have the project manager set this one back in Procore, so it is not sent"
    return Finding(
        rule="already-in-erp",
        severity="refuse",
        message=(
            f"{system} already has invoice {voucher.invoice_number} of vendor {voucher.vendor_erp}: "
            f"{theirs}, {there.state}; this one is {ours}."
        ),
        remedy=(
            f"If it is the same invoice, {same}. "
            "If it is another, have the project manager give this one a different number in Procore and press Retry."
        ),
        owner="accounting",
        numbers={f"in {system}": theirs, "in Procore": ours},
    )


def unreadable(item: Item, error: ContractError, severity: Literal["hold", "warn"] = "hold") -> Finding:
    """Say that the ERP shows something of it that cannot be read: neither to be sent again nor taken for gone."""
    system = _system(item)
    return Finding(
        rule=UNREADABLE,
        severity=severity,
        message=f"{error}.",
        remedy=(f"Have its record corrected in {system}, or report this message to the operator; then press Retry."),
        owner="accounting",
        numbers={"document": item.document_id_erp or ""},
    )


def unreachable(item: Item, attempts: int) -> Finding:
    """Say that nothing was written, because the ERP was away."""
    system = _system(item)
    return Finding(
        rule=TRANSIENT,
        severity="refuse",
        message=f"{system} could not be reached in {attempts} attempts; nothing was written.",
        remedy=f"Nobody needs to act: the next night tries again. Or press Retry when {system} is back.",
        owner="nobody",
    )


def answer_lost(intent: Intent, why: str) -> Finding:
    """Say that nobody knows yet whether the ERP has the invoice."""
    voucher, system = intent.voucher, _system(intent.item)
    return Finding(
        rule="answer-lost",
        severity="hold",
        message=f"Nobody knows yet whether {system} has invoice {voucher.invoice_number}: {why}",
        remedy=(
            f"Do not enter it by hand. Each night looks for it in {system}, and sends it again only if it certainly is "
            f"not there; press Retry to look now. To see what a look finds, {_ask(intent.item)}."
        ),
        owner="nobody",
        numbers=_sent(voucher),
    )


def found_otherwise(intent: Intent, there: Sequence[ErpInvoice]) -> Finding:
    """Say that the ERP shows something under our key or number that is not, or not only, what we sent."""
    voucher, system = intent.voucher, _system(intent.item)
    if len(there) == 1:
        rule, [record] = "differs-in-erp", there
        message = f"{system} has {in_short(record)}, which is not what was sent: {_contrast(record, voucher)}"
        mend = f"correct it in {system} to what was sent, or delete it there"
    else:
        rule, documents = "two-in-erp", " and ".join(in_short(each) for each in there)
        message = f"{system} has {len(there)} where one was sent: {documents}"
        mend = f"delete in {system} the extra ones"
    return Finding(
        rule=rule,
        severity="hold",
        message=message,
        remedy=(
            f"{_ask(intent.item, capital=True)}: it shows both sides, and an approver adopts or disowns. "
            f"Or {mend}, and press Retry."
        ),
        owner="accounting",
        numbers=_sent(voucher)
        | {f"{LABELS[name]} of {each.document_id_erp}": shown(each, name) for each in there for name in LABELS},
    )


def disowned(intent: Intent, there: Sequence[ErpInvoice], by: str, reason: str) -> Finding:
    """Say what must be done in the ERP before a Retry, which would else find the same again."""
    system = _system(intent.item)
    documents = " and ".join(in_short(each) for each in there)
    steps = filter(None, [_to_make_room(each, intent.voucher) for each in there])
    return Finding(
        rule="disowned",
        severity="refuse",
        message=f"{by} disowned {documents} in {system}: {reason}",
        remedy=f"Do this first, or tieout finds it again: {'; '.join(steps)}. Then press Retry.",
        owner="accounting",
        numbers=_sent(intent.voucher),
    )


def in_short(record: ErpInvoice) -> str:
    """Return how a person finds an invoice in the ERP."""
    batch = f" in batch {record.batch_code}" if record.batch_code else ""
    told = f"{record.invoice_number} of {record.vendor_erp}, {shown(record, 'gross')}, {record.state}{batch}"
    return f"document {record.document_id_erp} ({told})"


def _to_make_room(record: ErpInvoice, voucher: Voucher) -> str:
    """Return what leaves nothing of this document to be found again; empty when nothing need be done."""
    document = f"document {record.document_id_erp}"
    ways = []
    if record.key == voucher.key and record.state != "void":  # a voided one is no longer looked for by our key
        ways.append(f"clear our key {voucher.key} from the remarks of {document}")
    if (record.vendor_erp, record.invoice_number) == (voucher.vendor_erp, voucher.invoice_number):
        ways.append("have the project manager give this invoice another number in Procore")
    stays = " and ".join(ways)
    return f"delete {document} or, if it must stay, {stays}" if _may_be_deleted(record) else stays


def _may_be_deleted(record: ErpInvoice) -> bool:
    return record.state not in ("posted", "void")


def _contrast(record: ErpInvoice, voucher: Voucher) -> str:
    names = record.differences(voucher)
    told = [f"{LABELS[name]} {shown(record, name)} instead of {shown(voucher, name)}" for name in names]
    return ", ".join(told) or f"it is {record.state}"


def _sent(voucher: Voucher) -> dict[str, str]:
    return {f"{label} as sent": shown(voucher, name) for name, label in LABELS.items()}


def _ask(item: Item, capital: bool = False) -> str:
    words = f"run settle-uncertain with company {item.company_id} and invoice {item.invoice_id}"
    return words[0].upper() + words[1:] if capital else words


def _system(item: Item) -> str:
    return item.erp.capitalize()

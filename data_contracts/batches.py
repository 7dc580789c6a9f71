"""What batches that come from the ERP must keep before they are believed: payments, AP invoices, master data.

One record that breaks a rule is told by itself, with its reason, and takes nothing else with it. The descriptions are
of the same make as those of invoices (`rules.py`), and so are their two evaluators.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from data_contracts.batch import Batch
from data_contracts.case import Row, amount_in_words, units
from data_contracts.contract import Contract
from data_contracts.money import minor_digits
from data_contracts.reference import Finding, Reference
from data_contracts.rules import ACCOUNTING, DATA_ENGINEER, Check, Rule
from data_contracts.verdicts import evaluate, meets
from data_contracts.voucher import ErpInvoice, Payment

MANY = 5_000  # more are looked at together: up to so many, row by row takes less than importing great-expectations
_ONE = {"value_set": [1]}
_YES = {"value_set": [True]}


@dataclass(frozen=True, slots=True)
class Told:
    """What is wrong with one record of a batch."""

    at: int  # its place in the batch
    finding: Finding


def _holds(column: str, formula: str, message: str) -> Check:
    return Check(column, message, formula, kwargs=_YES)


def _rule(name: str, sentence: str, against: str, remedy: str, *checks: Check, owner: str = ACCOUNTING) -> Rule:
    return Rule(name, "hold", "header", sentence, against, remedy, owner, checks)


_MEND = "Correct the record in {erp}; the next night reads it again."
_TELL = "Report this message to the person who runs tieout: the table, or how the connector reads it, is wrong."

PAYMENTS = Batch(
    "payments",
    "Payments that the ERP shows",
    "a payment that is shown in Procore with a wrong amount, twice, or under another invoice",
    (
        _rule("payment-identified", "A payment has its own id, a vendor and an invoice number.",
              "A payment that nobody can find again, or tie to its invoice.", _TELL,
              _holds("is_identified", "(id != '') & (vendor != '') & (invoice_number != '')",
                     "Payment {id} of {amount} names vendor '{vendor}' and invoice '{invoice_number}'."),
              owner=DATA_ENGINEER),
        _rule("payment-once", "One id identifies one application of a check.",
              "Money that is shown twice, or a row of one check taken for another.", _TELL,
              Check("times", "Payment {id} appears {times} times, each time different; {amount} is one of them.",
                    None, kwargs=_ONE),
              owner=DATA_ENGINEER),
        _rule("payment-whole-units", "Amount and discount have no part of the currency's smallest unit.",
              "An amount that no check can be made out to.", _MEND,
              _holds("is_whole", "is_whole_units == True",
                     "Payment {id} is of {amount} with a discount of {discount}, a part of the smallest unit.")),
        _rule("payment-settles", "A payment settles something, and its discount is of the same sign.",
              "An empty row, or a discount that makes an invoice more expensive.", _MEND,
              _holds("settles", "(amount_units != 0) | (discount_units != 0)", "Payment {id} has no amount."),
              _holds("signs_agree", "amount_units * discount_sign >= 0",
                     "Payment {id} is of {amount}, and its discount of {discount} is of the other sign.")),
        _rule("payment-currency", "A payment is in the currency of its invoice.",
              "Dollars taken for other dollars.", _MEND,
              _holds("currency_agrees", "currency == currency_of_invoice",
                     "Payment {id} is in {currency}, its invoice in {currency_of_invoice}.")),
        _rule("payment-dates", "The check date is from 2000 on, at most a year ahead; a void is not before it.",
              "A payment of another century, or a void of what was not yet paid.", _MEND,
              Check("year", "Payment {id} is dated {paid_on}.", None, "expect_column_values_to_be_between",
                    {"min_value": 2000}),
              Check("days_ahead", "Payment {id} is dated {paid_on}, more than a year ahead.", None,
                    "expect_column_values_to_be_between", {"max_value": 366}),
              Check("days_to_void", "Payment {id} of {paid_on} was voided on {voided_on}, before it was made.", None,
                    "expect_column_values_to_be_between", {"min_value": 0})),
    ),
)  # fmt: skip

STATES = Batch(
    "states",
    "AP invoices that the ERP shows",
    "an invoice that is called posted, paid or drifted by a record that cannot be right",
    (
        _rule("state-identified", "An AP invoice has a document id, a vendor and a number.",
              "A record that is taken for our invoice and is nobody's.", _TELL,
              _holds("is_identified", "(id != '') & (vendor != '') & (invoice_number != '')",
                     "Document '{id}' of vendor '{vendor}' is numbered '{invoice_number}'."),
              owner=DATA_ENGINEER),
        _rule("state-company", "It is in the company that it was sent to.",
              "An invoice that is looked for in the wrong set of books.", _TELL,
              _holds("company_agrees", "company == company_sent",
                     "Document {id} is in company {company}; it was sent to {company_sent}."),
              owner=DATA_ENGINEER),
        _rule("state-currency", "It is in the currency in which it was sent.",
              "A posted amount read in the wrong money.", _MEND,
              _holds("currency_agrees", "currency == currency_sent",
                     "Document {id} is in {currency}; it was sent in {currency_sent}.")),
        _rule("state-retention", "Its retention lies between nothing and its gross, on either side of zero.",
              "An invoice called paid because its retention was misread.", _MEND,
              _holds("is_within", "(retention_units * sign >= 0) & (retention_units * sign <= gross_units * sign)",
                     "Document {id} of {gross} holds {retention} of retention.")),
    ),
)  # fmt: skip

REFERENCE = Batch(
    "reference",
    "Master data of the ERP",
    "an invoice that is booked on a code that is blank or belongs to nothing",
    (
        _rule("reference-code", "A vendor, job, phase or subcontract has a code.",
              "An invoice booked on a code that is blank.", _MEND,
              _holds("has_code", "code != ''", "A {kind} has no code ({details}).")),
        _rule("reference-belongs", "A phase belongs to a job that is there, a subcontract to job and vendor.",
              "An invoice booked on what belongs to nothing.", _MEND,
              _holds("has_job", "has_its_job == True", "The {kind} {code} belongs to job '{job}', which is not there."),
              _holds("has_vendor", "has_its_vendor == True",
                     "The {kind} {code} belongs to vendor '{vendor}', which is not there.")),
        _rule("reference-once", "A vendor's code and a job's number are there once.",
              "A code that means two things.", _MEND,
              Check("times", "The {kind} {code} appears {times} times, each time different.", None, kwargs=_ONE)),
    ),
)  # fmt: skip

BATCHES = (PAYMENTS, STATES, REFERENCE)


def check_payments(
    payments: Sequence[Payment], currencies: Sequence[str], erp: str, today: date
) -> tuple[list[int], list[Told]]:
    """Return the places of the payments that may be believed, one that is there twice once, and what is wrong.

    `currencies` are those of the invoices that they settle, in the same order.
    """
    first_at = {payment: at for at, payment in reversed(list(enumerate(payments)))}
    places = sorted(first_at.values())
    times = Counter(payments[at].application_id_erp for at in places)
    rows = [_payment_row(payments[at], currencies[at], times, erp, today) for at in places]
    told = [Told(places[each.at], each.finding) for each in _broken(PAYMENTS, rows)]
    doubted = {each.at for each in told}
    return [at for at in places if at not in doubted], told


def check_states(records: Sequence[ErpInvoice], sent: Sequence[tuple[str, str]], erp: str) -> list[Told]:
    """Return what is wrong with AP invoices; `sent` is the company and the currency of what was sent of each."""
    return _broken(STATES, [_state_row(each, *to, erp) for each, to in zip(records, sent, strict=True)])


def check_reference(reference: Reference, erp: str) -> tuple[Reference, list[Finding]]:
    """Return the master data without the records that cannot be believed, and what is wrong with those."""
    records = [(kind, each) for kind in _KINDS for each in dict.fromkeys(getattr(reference, kind))]
    rows = _reference_rows(reference, records, erp)
    told = _broken(REFERENCE, rows)
    doubted = {each.at for each in told}
    sound: dict[str, list[Contract]] = {kind: [] for kind in _KINDS}
    for at, (kind, record) in enumerate(records):
        if at not in doubted:
            sound[kind].append(record)
    return reference.model_copy(update={kind: tuple(each) for kind, each in sound.items()}), [x.finding for x in told]


def why_not_whole(reference: Reference) -> str:
    """Say why master data cannot be all that the ERP has: by an empty list every invoice would be held at once."""
    empty = [kind for kind in _KINDS if not getattr(reference, kind)]
    if empty:
        return f"there are no {' and no '.join(empty)}"
    if reference.open_from and reference.open_to and reference.open_from > reference.open_to:
        return f"the accounting period begins on {reference.open_from} and ends before that, on {reference.open_to}"
    return "" if reference.company_erp.strip() else "the company has no code"


_KINDS: tuple[Literal["vendors", "jobs", "phases", "subcontracts"], ...] = ("vendors", "jobs", "phases", "subcontracts")


def _payment_row(payment: Payment, currency: str, times: Mapping[str, int], erp: str, today: date) -> Row:
    amount, discount = units(payment.amount), units(payment.discount)
    smallest = 10 ** (4 - minor_digits(payment.currency))
    voided = payment.voided_on or payment.paid_on
    return {
        "erp": erp,
        "id": payment.application_id_erp.strip(),
        "vendor": payment.vendor_erp.strip(),
        "invoice_number": payment.invoice_number.strip(),
        "times": times[payment.application_id_erp],
        "amount_units": amount,
        "discount_units": discount,
        "discount_sign": (discount > 0) - (discount < 0),
        "is_whole_units": amount % smallest == 0 and discount % smallest == 0,
        "amount": amount_in_words(amount, payment.currency),
        "discount": amount_in_words(discount, payment.currency),
        "currency": payment.currency,
        "currency_of_invoice": currency,
        "year": payment.paid_on.year,
        "days_ahead": (payment.paid_on - today).days,
        "days_to_void": (voided - payment.paid_on).days,
        "paid_on": str(payment.paid_on),
        "voided_on": str(payment.voided_on or "never"),
    }


def _state_row(record: ErpInvoice, company: str, currency: str, erp: str) -> Row:
    gross, retention = units(record.gross), units(record.retention)
    return {
        "erp": erp,
        "id": record.document_id_erp.strip(),
        "vendor": record.vendor_erp.strip(),
        "invoice_number": record.invoice_number.strip(),
        "company": record.company_erp,
        "company_sent": company,
        "currency": record.currency,
        "currency_sent": currency,
        "gross_units": gross,
        "retention_units": retention,
        "sign": -1 if gross < 0 else 1,
        "gross": amount_in_words(gross, record.currency),
        "retention": amount_in_words(retention, record.currency),
    }


def _reference_rows(reference: Reference, records: Sequence[tuple[str, Any]], erp: str) -> list[Row]:
    jobs, vendors = {each.number for each in reference.jobs}, {each.code for each in reference.vendors}
    named = [(kind, _code(kind, record)) for kind, record in records]
    times = Counter(each for each in named if each[0] in ("vendors", "jobs"))
    return [
        {
            "erp": erp,
            "kind": kind.removesuffix("s"),
            "code": code,
            "details": " ".join(str(value) for value in record.model_dump().values()),
            "job": getattr(record, "job", ""),
            "vendor": getattr(record, "vendor", ""),
            "has_its_job": not hasattr(record, "job") or record.job in jobs,
            "has_its_vendor": not hasattr(record, "vendor") or record.vendor in vendors,
            "times": times.get((kind, code), 1),
        }
        for (kind, record), (_, code) in zip(records, named, strict=True)
    ]


def _code(kind: str, record: Any) -> str:
    code: str = record.code if kind == "vendors" else record.phase if kind == "phases" else record.number
    return code.strip()


def _broken(batch: Batch, rows: list[Row]) -> list[Told]:
    """Look at the rows one by one, or at many at once, and say what is wrong, in the order of the batch."""
    evaluator: Callable[[Batch, list[Row]], Iterable[tuple[int, Rule, Check]]] = _one_by_one
    if len(rows) > MANY:
        from data_contracts.expectations import broken_rows  # importing it takes seconds

        evaluator = broken_rows
    found = sorted(evaluator(batch, rows), key=lambda each: each[0])
    return [Told(at, _finding(rule, check, rows[at])) for at, rule, check in found]


def _one_by_one(batch: Batch, rows: list[Row]) -> Iterator[tuple[int, Rule, Check]]:
    for at, row in enumerate(rows):
        for rule in batch.rules:
            for check in rule.checks:
                value = evaluate(check.formula, row) if check.formula else row[check.column]
                if not meets(check, value):
                    yield at, rule, check


def _finding(rule: Rule, check: Check, row: Row) -> Finding:
    told = {name: str(value) for name, value in row.items()}
    return Finding(
        rule=rule.id,
        severity=rule.severity,
        message=check.message.format_map(told),
        remedy=rule.remedy.format_map(told),
        owner=rule.owner,
        figure=check.column,
    )

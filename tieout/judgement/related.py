"""What other invoices have to do with those that are judged: who bears the same number, who billed the same, who waits.

Whoever was first is not blamed: an invoice is told of those on their way to the ERP or there, and of earlier ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from data_contracts.case import Case, Others
from data_contracts.invoice import SENDABLE, Invoice
from data_contracts.money import round_half_up, to_minor
from data_contracts.reference import Finding
from data_contracts.verdicts import check, verdict
from tieout.judgement import mapping
from tieout.ledger import sightings, states
from tieout.ledger.database import Reader
from tieout.ledger.items import find_items
from tieout.ledger.sightings import Sighting
from tieout.settings import Policy

# An invoice number is taken while the invoice that bears it is on its way to the ERP or there.
_TAKEN = (states.ACCEPTED, states.EXPORTING, states.UNCERTAIN, states.FAILED, *states.IN_ERP)
_WAITS = (states.HELD, states.FAILED, *states.OUTSIDE, states.GONE)


class _SameNumber(NamedTuple):
    """Which others bear an invoice's number, each in words."""

    of_vendor: tuple[str, ...]
    of_same_in_erp: tuple[str, ...]  # of other vendors that are one with it in the ERP


class _Bill(NamedTuple):
    """What a subcontractor bills once only."""

    commitment_id: int
    period: str
    gross_minor: int


def others(
    connection: Reader, policy: Policy, codes: mapping.CodeMap, invoices: Sequence[Invoice]
) -> dict[int, Others]:
    """Return by Procore invoice id what the ledger knows of the others; the invoices are complete."""
    numbers = _numbers_taken(connection, policy, codes, invoices)
    bills = _bills_alike(connection, invoices)
    waiting = _waiting(connection, policy, invoices)
    return {
        invoice.invoice_id_procore: Others(
            same_number=numbers[invoice.invoice_id_procore].of_vendor,
            same_number_in_erp=numbers[invoice.invoice_id_procore].of_same_in_erp,
            same_bill=bills.get(invoice.invoice_id_procore, ()),
            waiting=waiting.get(invoice.invoice_id_procore, ""),
        )
        for invoice in invoices
    }


def with_held_before(cases: Sequence[Case], found: Mapping[int, list[Finding]]) -> dict[int, list[Finding]]:
    """Judge those again whose previous invoice turned out to be held in the same batch."""
    told = dict(found)
    numbers = {case.invoice.invoice_id_procore: case.invoice.invoice_number for case in cases}
    for case in cases:
        previous_id = case.invoice.previous_invoice_id_procore or 0
        if not case.others.waiting and previous_id in found and verdict(found[previous_id]) == states.HELD:
            waits = replace(case.others, waiting=_is(_named(numbers[previous_id], previous_id), states.HELD))
            told |= check([replace(case, others=waits)])
    return told


def _numbers_taken(
    connection: Reader, policy: Policy, codes: mapping.CodeMap, invoices: Sequence[Invoice]
) -> dict[int, _SameNumber]:
    """Say for each invoice which others bear its number."""
    is_alone = policy.invoice_number == "alone"  # else the commitment tells the ERP's numbers apart (C16)
    commitments = {invoice.invoice_id_procore: invoice.commitment_id_procore for invoice in invoices}
    keys = {invoice.invoice_id_procore: [invoice.number_key()] for invoice in invoices}
    for invoice in invoices:
        same = codes.same_in_erp(invoice.vendor_id_procore) if is_alone else []
        keys[invoice.invoice_id_procore] += map(invoice.number_key, same)
    sharing = sightings.sharing_number(connection, {key for each in keys.values() for key in each if key})

    def bearers(invoice_id: int, keys: Sequence[str]) -> tuple[str, ...]:
        return tuple(
            _is(f"{_named(other.number, other.invoice_id)} on {_contract(other)}", state or other.status)
            for key in keys
            for other, state in sharing.get(key, [])
            if other.invoice_id != invoice_id
            and (is_alone or other.commitment_id == commitments[invoice_id])
            and (state in _TAKEN or (other.invoice_id < invoice_id and other.status in SENDABLE))
        )

    return {
        invoice_id: _SameNumber(bearers(invoice_id, (own,)), bearers(invoice_id, in_erp))
        for invoice_id, (own, *in_erp) in keys.items()
    }


def _bills_alike(connection: Reader, invoices: Sequence[Invoice]) -> dict[int, tuple[str, ...]]:
    """Say which earlier invoices billed the same amount on the same commitment for the same period (C15)."""
    ours = {invoice.invoice_id_procore: _bill(invoice) for invoice in invoices if invoice.period and invoice.gross}
    alike: dict[_Bill, dict[int, str]] = {}
    for invoice in invoices:
        if invoice.is_sendable and invoice.invoice_id_procore in ours:
            same = alike.setdefault(ours[invoice.invoice_id_procore], {})
            same[invoice.invoice_id_procore] = invoice.invoice_number
    commitments = {bill.commitment_id for bill in ours.values()}
    for each in sightings.billed_on(connection, commitments, (*states.JUDGED, *_TAKEN)):
        if each.invoice_id not in ours:
            bill = _Bill(each.commitment_id, each.period, each.gross_minor)
            alike.setdefault(bill, {})[each.invoice_id] = each.number
    return {
        invoice_id: tuple(
            _named(number, earlier) for earlier, number in sorted(alike.get(bill, {}).items()) if earlier < invoice_id
        )
        for invoice_id, bill in ours.items()
    }


def _bill(invoice: Invoice) -> _Bill:
    gross = to_minor(round_half_up(invoice.gross, invoice.currency), invoice.currency)
    return _Bill(invoice.commitment_id_procore, invoice.period, gross)


def _waiting(connection: Reader, policy: Policy, invoices: Sequence[Invoice]) -> dict[int, str]:
    """Say of which invoices the previous one is not on its way to the ERP; one of this batch is judged with it."""
    batch = {invoice.invoice_id_procore for invoice in invoices}
    previous = {invoice.previous_invoice_id_procore for invoice in invoices} - {None}
    seen = sightings.sightings_of(connection, [each for each in previous if each])
    at = {item.invoice_id: item.state for item in find_items(connection, invoice_id=list(seen))}
    waiting = {}
    for invoice_id, sighting in seen.items():
        state, name = at.get(invoice_id), _named(sighting.number, invoice_id)
        is_judged_now = invoice_id in batch and state in (None, *states.JUDGED) and sighting.status in SENDABLE
        if state is None and sighting.status not in policy.auto_send_statuses:
            waiting[invoice_id] = _is(name, f"not sent, and {sighting.status.replace('_', ' ')} in Procore")
        elif not is_judged_now and state in _WAITS:
            waiting[invoice_id] = _is(name, state or "")
    return {
        invoice.invoice_id_procore: waiting[invoice.previous_invoice_id_procore or 0]
        for invoice in invoices
        if invoice.previous_invoice_id_procore in waiting
    }


def _named(number: str, invoice_id: int) -> str:
    """Return how a person finds an invoice in Procore, where many may bear the same number."""
    return f"invoice {number or 'without a number'} (id {invoice_id})"


def _contract(sighting: Sighting) -> str:
    return sighting.commitment or f"commitment {sighting.commitment_id}"


def _is(name: str, state: str) -> str:
    return f"{name} is {state}"

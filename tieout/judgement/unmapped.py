"""Codes of Procore that no ERP code is known for, with those that the ERP has: a person chooses, never we (C2.12)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher

from data_contracts.invoice import Invoice
from data_contracts.reference import Reference
from tieout.connectors.procore import parse_invoice
from tieout.judgement.basis import Basis
from tieout.judgement.cases import completed
from tieout.judgement.mapping import CodeMap, Kind
from tieout.ledger import sightings, states
from tieout.ledger.book import Ledger
from tieout.ledger.items import Item

RULES = ("vendor-unmapped", "job-unmapped", "subcontract-unmapped", "phase-unmapped", "cost-type-unmapped")
_SHOWN = 5  # candidates of a code
_Named = tuple[str, str]  # a code of the ERP and what it is called there


@dataclass(frozen=True)
class Code:
    """What a row of the mapping table would translate, and within which job of the ERP."""

    kind: Kind
    procore: str
    name: str
    job: str = ""


@dataclass(frozen=True)
class Unmapped:
    """A code without a translation, how many invoices it holds, and which of the ERP's codes look like it most."""

    code: Code
    invoices: int
    candidates: tuple[_Named, ...]


def unmapped(ledger: Ledger, basis: Basis, now: datetime) -> list[Unmapped]:
    """Return the codes that hold invoices now, the one that holds most of them first."""
    today, counts = now.astimezone(basis.zone).date(), Counter[Code]()
    found = [item for item in ledger.items(state=(states.HELD, states.FAILED)) if _is_concerned(item)]
    project_ids = sorted({item.project_id for item in found})
    with ledger.reading() as connection:
        basis = basis.with_books(connection, project_ids)
    for project_id in project_ids:
        if project_id in basis.books:
            mapping = basis.mapping(project_id, today)
            for invoice in _invoices(ledger, [item for item in found if item.project_id == project_id]):
                counts.update(set(_without(mapping, invoice)))
    return [Unmapped(code, count, _candidates(code, basis.reference)) for code, count in counts.most_common()]


def _is_concerned(item: Item) -> bool:
    return any(reason.rule in RULES for reason in item.reasons)


def _invoices(ledger: Ledger, items: Sequence[Item]) -> list[Invoice]:
    with ledger.reading() as connection:
        bodies = sightings.bodies(connection, [item.snapshot_id for item in items])
        parsed = [parse_invoice(bodies[item.snapshot_id], item.company_id) for item in items]
        return list(completed(connection, [each for each in parsed if isinstance(each, Invoice)]).values())


def _without(mapping: CodeMap, invoice: Invoice) -> Iterator[Code]:
    """Yield what of an invoice has no code in the ERP; lines that earned nothing need none."""
    vendor_id, job = invoice.vendor_id_procore, mapping.job(invoice.project_id_procore)
    if vendor_id is not None and mapping.vendor(vendor_id) is None:
        yield Code("vendor", str(vendor_id), invoice.vendor_name or mapping.vendor_name(vendor_id))
    if job is None:
        yield Code("job", str(invoice.project_id_procore), mapping.project_name)
    if invoice.commitment_kind == "subcontract" and mapping.subcontract(invoice.commitment_id_procore) is None:
        yield Code("subcontract", str(invoice.commitment_id_procore), invoice.commitment_name, job or "")
    for line in invoice.lines:
        cost_code, cost_type = mapping.codes(line)
        if line.gross and cost_code and mapping.phase(line) is None:
            yield Code("phase", cost_code, line.description, job or "")
        if line.gross and cost_type and mapping.cost_type(line) is None:
            yield Code("cost_type", cost_type, "", job or "")


def _candidates(code: Code, reference: Reference) -> tuple[_Named, ...]:
    """Return the ERP's active codes of this kind, those first that are written most alike."""

    def likeness(named: _Named) -> tuple[float, str]:
        pairs = ((code.procore, named[0]), (code.name, named[1]), (code.name, named[0]))
        alike = (SequenceMatcher(a=_plain(ours), b=_plain(its)).ratio() for ours, its in pairs if ours and its)
        return -max(alike, default=0.0), named[0]

    return tuple(sorted(set(_known(code, reference)), key=likeness)[:_SHOWN])


def _known(code: Code, reference: Reference) -> Iterable[_Named]:
    in_job = [each for each in reference.phases if each.is_active and code.job in ("", each.job)]
    known: dict[Kind, Iterable[_Named]] = {
        "vendor": ((each.code, each.name) for each in reference.vendors if each.is_active),
        "job": ((each.number, each.name) for each in reference.jobs if each.is_active),
        "subcontract": (
            (each.number, each.vendor)
            for each in reference.subcontracts
            if each.is_active and code.job in ("", each.job)
        ),
        "phase": ((each.phase, "") for each in in_job),
        "cost_type": ((each.cost_type, "") for each in in_job),
    }
    return known[code.kind]


def _plain(text: str) -> str:
    return "".join(each for each in text.casefold() if each.isalnum())

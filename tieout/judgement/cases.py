"""Put beside an invoice all that judging it needs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from data_contracts.case import Case, ErpFacts, Others, PaperPolicy
from data_contracts.commitment import Commitment, ProjectBooks, Vendor
from data_contracts.invoice import Invoice
from data_contracts.reference import Reference
from tieout.connectors.base import Capabilities
from tieout.connectors.procore.translation import parse_invoice
from tieout.errors import SettingsError
from tieout.judgement import billing, papers
from tieout.judgement.basis import Basis
from tieout.judgement.coding import Codes
from tieout.judgement.mapping import CodeMap
from tieout.judgement.related import others
from tieout.ledger import sightings
from tieout.ledger.database import Reader
from tieout.settings import Policy


def read_cases(
    connection: Reader,
    basis: Basis,
    project_id: int,
    invoices: Iterable[Invoice],
    now: datetime,
    previous: Mapping[int, Invoice] | None = None,
) -> list[Case]:
    """Put beside each invoice all that judging and exporting it look up; the `previous_invoices`, unless they came."""
    invoices, basis = list(invoices), basis.with_books(connection, [project_id])
    if project_id not in basis.books:
        raise SettingsError("Procore", f"project {project_id}", "its commitments were never read")
    today = now.astimezone(basis.zone).date()
    books, mapping = basis.books[project_id], basis.mapping(project_id, today)
    previous = previous_invoices(connection, invoices) if previous is None else previous
    complete = [billing.complete(each, previous.get(each.previous_invoice_id_procore or 0)) for each in invoices]
    known = others(connection, basis.policy, mapping, complete)
    return [
        build_case(
            invoice=invoice,
            books=books,
            vendors=basis.vendors,
            mapping=mapping,
            codes=basis.codes,
            capabilities=basis.capabilities,
            previous=previous.get(invoice.previous_invoice_id_procore or 0),
            others=known[invoice.invoice_id_procore],
            policy=basis.policy,
            today=today,
        )
        for invoice in complete
    ]


def completed(connection: Reader, invoices: Sequence[Invoice]) -> dict[int, Invoice]:
    """Return the invoices, by id, completed by those that they continue, as Procore showed them last."""
    earlier = previous_invoices(connection, invoices) if invoices else {}
    return {
        invoice.invoice_id_procore: billing.complete(invoice, earlier.get(invoice.previous_invoice_id_procore or 0))
        for invoice in invoices
    }


def previous_invoices(
    connection: Reader, invoices: Iterable[Invoice], known: Mapping[int, Invoice] | None = None
) -> dict[int, Invoice]:
    """Return the invoices that these continue, as Procore showed them last, by id; those `known` so are not read."""
    known = known or {}
    ids = {each for invoice in invoices if (each := invoice.previous_invoice_id_procore)}
    found = {each: known[each] for each in ids if each in known}
    seen = sightings.sightings_of(connection, ids - found.keys())
    bodies = sightings.bodies(connection, [each.snapshot_id for each in seen.values() if each.snapshot_id is not None])
    for invoice_id, sighting in seen.items():
        if sighting.snapshot_id is not None:
            parsed = parse_invoice(bodies[sighting.snapshot_id], sighting.company_id, invoice_id)
            if isinstance(parsed, Invoice):
                found[invoice_id] = parsed
    return found


def build_case(
    invoice: Invoice,
    books: ProjectBooks,
    vendors: Sequence[Vendor],
    mapping: CodeMap,
    codes: Codes,
    capabilities: Capabilities,
    previous: Invoice | None,
    others: Others,
    policy: Policy,
    today: date,
) -> Case:
    """Return the case of one invoice, its lines completed from the invoice before it."""
    reference = codes.reference
    commitment = mapping.commitment(invoice.commitment_id_procore)
    vendor, job = mapping.vendor(invoice.vendor_id_procore), mapping.job(invoice.project_id_procore)
    contract = mapping.subcontract(invoice.commitment_id_procore)
    return Case(
        invoice=billing.complete(invoice, previous),
        commitment=commitment,
        previous=previous,
        vendor_name=invoice.vendor_name or mapping.vendor_name(invoice.vendor_id_procore),
        number_erp=billing.erp_number(invoice, commitment, policy),
        company_erp=reference.company_erp,
        vendor_erp=vendor,
        job_erp=job,
        contract_erp=contract,
        coding=tuple(codes.coding(job, mapping.phase(line), mapping.cost_type(line)) for line in invoice.lines),
        erp=_facts(capabilities, reference),
        today=today,
        vendor_is_active=vendor in codes.vendors,
        contract_matches=codes.has_contract(contract, vendor, job),
        others=others,
        change_orders=_change_orders(commitment),
        period_is_known=any(each.period_id_procore == invoice.period_id_procore for each in books.periods),
        accounting_on=billing.accounting_on(invoice, reference, policy),
        over_billing=policy.over_billing,
        papers=papers.missing(invoice, commitment, books, policy, today),
        paper_policy=PaperPolicy(policy.insurance, policy.compliance_documents, policy.lien_waiver),
    )


def _change_orders(commitment: Commitment | None) -> dict[int, str]:
    if commitment is None:
        return {}
    return {each.change_order_id_procore: each.status.lower() for each in commitment.change_orders}


def _facts(capabilities: Capabilities, reference: Reference) -> ErpFacts:
    return ErpFacts(
        name=capabilities.name.capitalize(),
        currency=reference.currency,
        invoice_number_length=capabilities.invoice_number_length,
        contract_number_length=capabilities.contract_number_length,
        purchase_orders=capabilities.purchase_orders,
        retention_release=capabilities.retention_release,
        credit_memos=capabilities.credit_memos,
        tax=capabilities.tax,
        payment_hold=capabilities.payment_hold,
        release_path=capabilities.release_path,
    )

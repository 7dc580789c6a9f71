"""Steps that talk to the contractor's ERP, whichever it is."""

from prefect import task

from tasks._policy import remote
from tasks._run import open_office
from tieout.export import amendment, observation, outcome
from tieout.export.chunk import Chunk, Exported, in_chunks
from tieout.export.chunk import export_chunk as export_one_chunk
from tieout.export.chunk import waiting as count_waiting
from tieout.intake import reference
from tieout.judgement.basis import load_basis
from tieout.opening import open_erp, open_ledger
from tieout.payments import collection
from tieout.results import Told

ALONE = Chunk(number=1, size=1)  # one invoice, which is named


@task(**remote)
def read_reference() -> Told:
    """Read the ERP's vendors, jobs, phases and subcontracts; say what cannot be believed."""
    office = open_office()
    with open_ledger(office) as ledger, open_erp(office) as erp:
        return Told(notes=tuple(reference.read_reference(ledger, erp, office)))


@task(**remote)
def list_chunks(only: list[int] | None = None) -> list[Chunk]:
    """Return the chunks in which all that is accepted can be exported."""
    office = open_office()
    with open_ledger(office) as ledger, open_erp(office) as erp:
        size = min(office.settings.export.chunk, erp.capabilities.invoices_per_call)
        waiting = count_waiting(ledger) if only is None else len(only)
    return in_chunks(waiting, size)


@task(**remote, task_run_name="export chunk {chunk.number}")
def export_chunk(chunk: Chunk, only: list[int] | None = None) -> Exported:
    """Claim the next accepted invoices and export them. Safe to run again after any failure."""
    office = open_office()
    with open_ledger(office) as ledger, open_erp(office) as erp:
        return export_one_chunk(ledger, erp, load_basis(ledger, erp, office), office, only)


@task(**remote)
def release_expired() -> int:
    """Take over what a dead run had claimed."""
    office = open_office()
    with open_ledger(office) as ledger, open_erp(office) as erp:
        return outcome.release_expired(ledger, erp, office)


@task(**remote)
def settle_uncertain() -> dict[str, int]:
    """Look in the ERP for every invoice, and every change of one, whose outcome is unknown."""
    office = open_office()
    with open_ledger(office) as ledger, open_erp(office) as erp:
        amendment.settle(ledger, erp, office)
        return outcome.settle_uncertain(ledger, erp, office)


@task(**remote)
def observe_invoices(only: list[int] | None = None) -> dict[str, int]:
    """See which of our invoices were posted, are gone, or were changed on either side since their export."""
    office = open_office()
    with open_ledger(office) as ledger, open_erp(office) as erp:
        return observation.observe(ledger, erp, office, only)


@task(**remote)
def collect_payments() -> collection.Collected:
    """Read the posted payments of our invoices into the ledger."""
    office = open_office()
    with open_ledger(office) as ledger, open_erp(office) as erp:
        return collection.collect(ledger, erp, office)

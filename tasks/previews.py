"""Dry runs: what a flow would do, as artifacts of its run; nothing is written to Procore, the ERP or the ledger."""

from collections.abc import Callable, Sequence

from prefect import State
from prefect.states import Completed, Failed

from tasks import _prefect, items, watch
from tasks._run import open_office, run_id
from tieout import rehearsal
from tieout.connectors.base import ERP
from tieout.errors import RefusedError
from tieout.ledger.book import Ledger
from tieout.office import Office
from tieout.opening import open_erp, open_ledger, open_procore
from tieout.people.rights import Signature
from tieout.rehearsal import Rehearsed
from tieout.views.run_report import FINISHED_WITH_FAILURES


def exports(flow: str, projects: Sequence[int]) -> State[None]:
    """Show what a night would export."""
    office = open_office()
    return _show(office, flow, lambda ledger, erp: rehearsal.exports(ledger, erp, projects, office))


def retry(cause: str | None, project: int | None, invoices: Sequence[int] | None) -> State[None]:
    """Show what would be tried again."""
    office = open_office()
    return _show(
        office, "retry-exports", lambda ledger, erp: rehearsal.retry(ledger, erp, cause, project, invoices, office)
    )


def export(company: int, invoice: int) -> State[None]:
    """Show what would become of one invoice."""
    office = open_office()
    return _show(office, "export-invoice", lambda ledger, erp: rehearsal.export(ledger, erp, company, invoice, office))


def review(project: int) -> State[None]:
    """Show what an approver would be offered."""
    office = open_office()
    return _show(office, "review-invoices", lambda ledger, erp: rehearsal.review(ledger, erp, project, office))


def payments() -> State[None]:
    """Show what would be written to Payments Issued."""
    office = open_office()
    return _show(office, "sync-payments", lambda ledger, erp: rehearsal.payments(ledger, erp, office))


def send(project: int, names: Sequence[str], sent_by: str) -> State[None]:
    """Show what would be sent."""
    office = open_office()
    by = Signature(sent_by)
    return _show(office, "send-invoices", lambda ledger, erp: rehearsal.send(ledger, erp, project, names, by, office))


def reprocess(project: int, names: Sequence[str], requested_by: str) -> State[None]:
    """Show what would be judged again."""
    office = open_office()
    by = Signature(requested_by)
    return _show(
        office, "reprocess-invoices", lambda ledger, erp: rehearsal.reprocess(ledger, erp, project, names, by, office)
    )


def retrieve(project: int, names: Sequence[str], retrieved_by: str) -> State[None]:
    """Show what would be taken back."""
    office = open_office()
    by = Signature(retrieved_by)
    return _show(
        office, "retrieve-invoices", lambda ledger, _: rehearsal.retrieve(ledger, project, names, by, run_id(), office)
    )


def reject(project: int, names: Sequence[str], rejected_by: str, reason: str) -> State[None]:
    """Show what would be rejected."""
    office = open_office()
    by = Signature(rejected_by)
    return _show(
        office,
        "reject-invoices",
        lambda ledger, erp: rehearsal.reject(ledger, erp, project, names, by, reason, run_id(), office),
    )


def unlink(company: int, invoice: int, unlinked_by: str, reason: str) -> State[None]:
    """Show whether the tie would be cut."""
    office = open_office()
    by = Signature(unlinked_by)
    return _show(
        office,
        "unlink-invoice",
        lambda ledger, _: rehearsal.unlink(ledger, company, invoice, by, reason, run_id(), office),
    )


def acknowledge(company: int, invoice: int, acknowledged_by: str, reason: str) -> State[None]:
    """Show what would be let stand."""
    office = open_office()
    by = Signature(acknowledged_by)
    return _show(
        office,
        "acknowledge-drift",
        lambda ledger, _: rehearsal.acknowledge(ledger, company, invoice, by, reason, office),
    )


def confirm(company: int, invoice: int, confirmed_by: str, note: str) -> State[None]:
    """Show which release by hand would be closed."""
    office = open_office()
    by = Signature(confirmed_by)
    return _show(
        office, "confirm-release", lambda ledger, _: rehearsal.confirm(ledger, company, invoice, by, note, office)
    )


def settle(company: int, invoice: int) -> State[None]:
    """Show what an approver would be asked of an uncertain invoice."""
    office = open_office()
    return _show(
        office, "settle-uncertain", lambda ledger, erp: rehearsal.settle(ledger, erp, company, invoice, office)
    )


def refresh(company: int, invoice: int) -> State[None]:
    """Show what an approver would be asked of a change."""
    office = open_office()
    with open_procore(office) as procore:
        return _show(
            office,
            "refresh-invoice",
            lambda ledger, erp: rehearsal.refresh(ledger, erp, procore, company, invoice, office),
        )


def keep_watch() -> State[None]:
    """Show what would be put right, and what rings."""
    office = open_office()
    return _show(
        office,
        "keep-watch",
        lambda ledger, erp: rehearsal.keep_watch(ledger, erp, _to_put_right(office, ledger, erp), office),
    )


def _to_put_right(office: Office, ledger: Ledger, erp: ERP) -> dict[str, int]:
    """Count what the Prefect server shows otherwise than it should."""
    with _prefect.open_screen() as client:
        shown, reviews = items.plans(office, ledger, erp, client)
        return {
            "runs closed, as their workers died": len(watch.dead_runs(client)),
            "reviews closed that nobody can answer": len(watch.lapsed_reviews(ledger, client)),
            "reviews superseded": len(reviews.superseded),
            "reviews opened": len(reviews.wanted),
            "item runs created": len(shown.creations),
            "item runs moved": len(shown.moves),
        }


def _show(office: Office, flow: str, rehearse: Callable[[Ledger, ERP], Rehearsed]) -> State[None]:
    """Hang on the run what was rehearsed and return its end: red where the form names what nobody knows."""
    with open_ledger(office) as ledger, open_erp(office) as erp:
        try:
            found = rehearse(ledger, erp)
        except RefusedError as refusal:
            return Failed(name=FINISHED_WITH_FAILURES, message=f"Nothing was written. {refusal}")
    with _prefect.open_screen() as client:
        if found.rows is not None:
            _prefect.attach_table(client, run_id(), found.rows, f"{flow}-preview", found.words)
        if found.payloads:
            _prefect.attach(client, run_id(), found.payloads, f"{flow}-payloads", found.words)
        if found.form:
            _prefect.attach(client, run_id(), found.form, f"{flow}-preview", "What an approver would be asked.")
    where = "" if found.rows is None else "The list is on the Artifacts tab. "
    return Completed(name="Previewed", message=f"Nothing was written. {where}{found.words}")

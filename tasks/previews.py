"""Dry runs: what a flow would do, as artifacts of its run; nothing is written to Procore, the ERP or the ledger."""

from collections.abc import Callable, Sequence

from prefect import State
from prefect.states import Completed, Failed

from tasks import _prefect, items, watch
from tasks._run import actor, run_id
from tieout import rehearsal
from tieout.clock import now
from tieout.connectors.base import ERP
from tieout.errors import RefusedError
from tieout.ledger.book import Ledger
from tieout.opening import open_erp, open_ledger, open_procore
from tieout.people.rights import Signature
from tieout.rehearsal import Rehearsed
from tieout.views.run_report import FINISHED_WITH_FAILURES


def exports(flow: str, projects: Sequence[int]) -> State[None]:
    """Show what a night would export."""
    return _show(flow, lambda ledger, erp: rehearsal.exports(ledger, erp, projects, now))


def retry(cause: str | None, project: int | None, invoices: Sequence[int] | None) -> State[None]:
    """Show what would be tried again."""
    return _show("retry-exports", lambda ledger, erp: rehearsal.retry(ledger, erp, cause, project, invoices, now))


def export(company: int, invoice: int) -> State[None]:
    """Show what would become of one invoice."""
    return _show("export-invoice", lambda ledger, erp: rehearsal.export(ledger, erp, company, invoice, now))


def review(project: int) -> State[None]:
    """Show what an approver would be offered."""
    return _show("review-invoices", lambda ledger, erp: rehearsal.review(ledger, erp, project, now))


def payments() -> State[None]:
    """Show what would be written to Payments Issued."""
    return _show("sync-payments", lambda ledger, erp: rehearsal.payments(ledger, erp, now, actor()))


def send(project: int, names: Sequence[str], sent_by: str) -> State[None]:
    """Show what would be sent."""
    by = Signature(sent_by)
    return _show("send-invoices", lambda ledger, erp: rehearsal.send(ledger, erp, project, names, by, now))


def reprocess(project: int, names: Sequence[str], requested_by: str) -> State[None]:
    """Show what would be judged again."""
    by = Signature(requested_by)
    return _show("reprocess-invoices", lambda ledger, erp: rehearsal.reprocess(ledger, erp, project, names, by, now))


def retrieve(project: int, names: Sequence[str], retrieved_by: str) -> State[None]:
    """Show what would be taken back."""
    by = Signature(retrieved_by)
    return _show("retrieve-invoices", lambda ledger, _: rehearsal.retrieve(ledger, project, names, by, run_id(), now))


def reject(project: int, names: Sequence[str], rejected_by: str, reason: str) -> State[None]:
    """Show what would be rejected."""
    by = Signature(rejected_by)
    return _show(
        "reject-invoices",
        lambda ledger, erp: rehearsal.reject(ledger, erp, project, names, by, reason, run_id(), now),
    )


def unlink(company: int, invoice: int, unlinked_by: str, reason: str) -> State[None]:
    """Show whether the tie would be cut."""
    by = Signature(unlinked_by)
    return _show(
        "unlink-invoice", lambda ledger, _: rehearsal.unlink(ledger, company, invoice, by, reason, run_id(), now)
    )


def acknowledge(company: int, invoice: int, acknowledged_by: str, reason: str) -> State[None]:
    """Show what would be let stand."""
    by = Signature(acknowledged_by)
    return _show(
        "acknowledge-drift", lambda ledger, _: rehearsal.acknowledge(ledger, company, invoice, by, reason, now)
    )


def confirm(company: int, invoice: int, confirmed_by: str, note: str) -> State[None]:
    """Show which release by hand would be closed."""
    by = Signature(confirmed_by)
    return _show("confirm-release", lambda ledger, _: rehearsal.confirm(ledger, company, invoice, by, note, now))


def settle(company: int, invoice: int) -> State[None]:
    """Show what an approver would be asked of an uncertain invoice."""
    return _show("settle-uncertain", lambda ledger, erp: rehearsal.settle(ledger, erp, company, invoice, now, actor()))


def refresh(company: int, invoice: int) -> State[None]:
    """Show what an approver would be asked of a change."""
    with open_procore() as procore:
        return _show(
            "refresh-invoice", lambda ledger, erp: rehearsal.refresh(ledger, erp, procore, company, invoice, now)
        )


def keep_watch() -> State[None]:
    """Show what would be put right, and what rings."""
    return _show(
        "keep-watch", lambda ledger, erp: rehearsal.keep_watch(ledger, erp, _to_put_right(ledger, erp), now, actor())
    )


def _to_put_right(ledger: Ledger, erp: ERP) -> dict[str, int]:
    """Count what the Prefect server shows otherwise than it should."""
    with _prefect.open_screen() as client:
        shown, reviews = items.plans(ledger, erp, client)
        return {
            "runs closed, as their workers died": len(watch.dead_runs(client)),
            "reviews closed that nobody can answer": len(watch.lapsed_reviews(ledger, client)),
            "reviews superseded": len(reviews.superseded),
            "reviews opened": len(reviews.wanted),
            "item runs created": len(shown.creations),
            "item runs moved": len(shown.moves),
        }


def _show(flow: str, rehearse: Callable[[Ledger, ERP], Rehearsed]) -> State[None]:
    """Hang on the run what was rehearsed and return its end: red where the form names what nobody knows."""
    with open_ledger() as ledger, open_erp() as erp:
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

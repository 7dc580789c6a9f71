"""The whole scheduled night: Procore to the ERP, payments back, every failure in view."""

from prefect import State, flow

from tasks import checks, erp, grids, items, ledger, notices, previews, procore, reports, watch
from tasks._policy import WRITERS
from tasks._run import night_name
from tasks._steps import Steps
from tasks._turns import NIGHT, PAYMENTS


@flow(task_runner=WRITERS, flow_run_name=night_name)
def nightly_sync(projects: list[int] | None = None, dry_run: bool = False) -> State[None]:
    """Bring invoices from Procore into the ERP and payments back. Runs every night; you may run it at any time.

    It reads what changed in Procore, judges it, opens a review for each project with something Ready to Export,
    exports what was accepted, and writes the ERP's payments to Payments Issued.

    Args:
        projects: Only these projects, by their numbers in Procore; None is all of them.
        dry_run: Switch it on to see only what would be exported, payload by payload, next to what the ERP holds; it
            writes nothing anywhere. It goes by the last reading of Procore.

    If it turns red (*Finished with Failures*), open its Artifacts tab: it lists every failure with its cause, and each
    invoice has its own run in the view *Failed to Export*. Fix the cause there and press Retry. If it turns red
    as an *Alarm*, its message says what is wrong. *Left to Another Run* means that another night was already going on.
    """
    if dry_run:
        return previews.exports("nightly-sync", projects or [])
    # The whole night is never left to a run over some projects.
    turns = () if projects else (NIGHT, PAYMENTS)
    with Steps("Nightly sync", *turns) as steps:
        if steps.other:
            return reports.left_to(steps.other)
        visible = steps.go(procore.list_projects, projects) or []
        steps.each(procore.fetch_changed_invoices, visible)
        steps.go(erp.read_reference)
        steps.go(procore.read_books, visible)
        steps.in_order(erp.release_expired, erp.settle_uncertain)
        steps.go(checks.judge, visible)
        steps.go(checks.accept_by_policy, visible)
        steps.go(ledger.revive_transient)
        steps.each(erp.export_chunk, steps.go(erp.list_chunks))
        steps.in_order(erp.settle_uncertain, erp.collect_payments, erp.observe_invoices, procore.write_payments)
        steps.go(procore.deliver_letters)
        steps.each(procore.take_census, visible)
        if not projects:
            steps.go(watch.note_night)
        steps.in_order(watch.close_dead_runs, watch.close_reviews, items.open_reviews, items.publish)
        steps.in_order(watch.list_vanished, watch.ring, notices.remind_of_reviews, checks.show_quality)
        grids.keep(steps, visible)
        steps.go(notices.tell_of_night, steps.unfinished)
        steps.go(notices.deliver_mail)
        return reports.conclude(steps)

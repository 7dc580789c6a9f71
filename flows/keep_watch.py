"""Look after what no other flow would: dead runs, abandoned invoices, alarms."""

from prefect import State, flow

from tasks import erp, grids, items, notices, previews, reports, watch
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def keep_watch(dry_run: bool = False) -> State[None]:
    """Clean up after dead workers, and raise the alarms. Runs every half hour; you may run it at any time.

    It closes runs whose worker died, frees the invoices that they had claimed or looks for them in the ERP, opens
    expired reviews again, and makes the views show what the ledger holds.

    Args:
        dry_run: Switch it on to see only what it would clean up, and which alarms ring.

    If it turns red as an *Alarm*, its message and its Artifacts tab say what is wrong and what to do. It stays red
    every half hour until that is fixed. *Finished with Failures* means that one of its steps did not finish.
    """
    if dry_run:
        return previews.keep_watch()
    steps = Steps("Keep watch")
    steps.in_order(watch.close_dead_runs, watch.close_reviews, erp.release_expired, erp.settle_uncertain)
    steps.in_order(items.open_reviews, items.publish, watch.ring, notices.remind_of_reviews, notices.deliver_mail)
    grids.keep(steps)
    return reports.conclude(steps)

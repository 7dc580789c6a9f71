"""Look after what nobody else would: dead runs, abandoned invoices, alarms."""

from prefect import State, flow

from tasks import erp, grids, items, notices, previews, reports, watch
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def keep_watch(dry_run: bool = False) -> State[None]:
    """Put right what a dead worker left behind, and raise the alarms. Runs every half hour; may be run at any time.

    Runs whose worker died are closed, the invoices that they had claimed are set free or looked for, expired reviews
    are opened again, and the views show what the ledger holds.

    Args:
        dry_run: Switch it on to be shown only what would be put right, and which alarms ring.

    When it is red as an *Alarm*, its message and its Artifacts tab say what is wrong and what to do. It stays red every
    half hour until that is mended. *Finished with Failures* means that a step of its own did not finish.
    """
    if dry_run:
        return previews.keep_watch()
    steps = Steps("Keep watch")
    steps.in_order(watch.close_dead_runs, watch.close_reviews, erp.release_expired, erp.settle_uncertain)
    steps.in_order(items.open_reviews, items.publish, watch.ring, notices.remind_of_reviews, notices.deliver_mail)
    grids.keep(steps)
    return reports.conclude(steps)

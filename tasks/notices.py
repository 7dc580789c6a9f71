"""Steps that tell people by mail: what there is to tell, and that it leaves."""

from prefect import task

from tasks import _progress
from tasks._policy import remote
from tasks._run import actor, night_name, run_id, started_at
from tieout import mailing, notices, reporting, settings
from tieout.notices import Night
from tieout.opening import now, open_ledger, open_mailer
from tieout.publishing import FAILING


@task(**remote)
def tell_of_night(unfinished: list[str]) -> None:
    """Owe the operators one mail if something failed in this night or a step did not finish."""
    with open_ledger() as ledger:
        _, failed = reporting.brought_about(ledger, actor(), started_at())
        failing = ledger.items(state=tuple(FAILING))
        ui_url = settings.prefect_section().ui_url
        notices.tell_of_night(ledger, Night(run_id(), night_name(), failed, failing, unfinished, ui_url), now)


@task(**remote)
def remind_of_reviews() -> None:
    """Owe the operators a mail for each review that waits for too long."""
    with open_ledger() as ledger:
        notices.remind_of_reviews(ledger, now)


@task(**remote)
def deliver_mail() -> mailing.Mailed:
    """Send every mail that is owed, each once; what the server refuses is reported and changes no decision."""
    with open_ledger() as ledger, open_mailer() as mailer, _progress.shown("send mail", "mails") as progress:
        return mailing.deliver(ledger, mailer, now, progress)

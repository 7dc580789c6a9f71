"""Steps that tell people by mail: what there is to tell, and that it leaves."""

from prefect import task

from tasks import _progress
from tasks._policy import remote
from tasks._run import actor, night_name, open_office, run_id, started_at
from tieout.opening import open_ledger, open_mailer
from tieout.outbox import mail, notices
from tieout.outbox.notices import Night
from tieout.views import inquiry
from tieout.views.standing import FAILING


@task(**remote)
def tell_of_night(unfinished: list[str]) -> None:
    """Owe the operators one mail if something failed in this night or a step did not finish."""
    office = open_office()
    with open_ledger(office) as ledger:
        _, failed = inquiry.brought_about(ledger, actor(), started_at())
        failing = ledger.items(state=tuple(FAILING))
        notices.tell_of_night(ledger, Night(run_id(), night_name(), failed, failing, unfinished), office)


@task(**remote)
def remind_of_reviews() -> None:
    """Owe the operators a mail for each review that waits for too long."""
    office = open_office()
    with open_ledger(office) as ledger:
        notices.remind_of_reviews(ledger, office)


@task(**remote)
def deliver_mail() -> mail.Mailed:
    """Send every mail that is owed, each once; what the server refuses is reported and changes no decision."""
    office = open_office()
    with (
        open_ledger(office) as ledger,
        open_mailer(office) as mailer,
        _progress.shown("send mail", "mails") as progress,
    ):
        return mail.deliver(ledger, mailer, office, progress)

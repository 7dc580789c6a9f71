"""Alarms for what fails in silence: no run is red, and yet something that should have happened by now did not.

They are read from the ledger and the settings alone, so that they ring while every other system is away. Nothing rings
for a moment that lies in the future: the clock was set back since then.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from data_contracts.reference import Problem
from tieout import settings
from tieout.export.reasons import TRANSIENT
from tieout.ledger import ages, census, states, watermarks
from tieout.ledger.ages import Waiting
from tieout.ledger.book import Ledger
from tieout.ledger.database import Reader
from tieout.office import Office

# What rings, by name, and the system to look into; empty stands for the ERP. The runbook has an entry for each.
CHECKS = {
    "night": "Prefect",
    "payments": "",
    "exporting": "Prefect",
    "uncertain": "",
    "census": "Procore",
    "listing": "Procore",
    "accepted": "",
    "letters": "Procore",
    "unwritten": "Procore",
    "mails": "Mail",
}
_DONE = (states.PAID, states.NOT_EXPORTABLE, *states.OUTSIDE)


@dataclass(frozen=True)
class _Look:
    """One look at the ledger: at which moment, by which limits."""

    connection: Reader
    now: datetime
    limits: settings.Watch
    company: settings.Company

    @property
    def erp(self) -> str:
        return self.company.erp.capitalize()

    def is_over(self, since: datetime, hours: float) -> bool:
        return self.now - since > timedelta(hours=hours)

    def told(self, since: datetime) -> str:
        """Return a moment as the company reads it, and how long ago it is."""
        ago = (self.now - since) / timedelta(hours=1)
        return f"{since.astimezone(self.company.zone):%Y-%m-%d %H:%M %Z}, {ago:.0f} h ago"

    def ring(self, check: str, message: str, remedy: str) -> Problem:
        system = CHECKS[check] or self.erp
        return Problem(system=system, check=check, is_blocking=False, message=message, remedy=remedy)

    def stuck(self, check: str, hours: float, waiting: Iterable[Waiting], what: str, remedy: str) -> Iterator[Problem]:
        """Ring once for all that waits for longer than it should."""
        if over := sorted(each for each in waiting if self.is_over(each.since, hours)):
            oldest, why = over[0], f" {over[0].why}" if over[0].why else ""
            message = f"{what}: {len(over)}. The oldest is {oldest.what}, since {self.told(oldest.since)}.{why}"
            yield self.ring(check, message, remedy)


def ringing(ledger: Ledger, office: Office) -> list[Problem]:
    """Return what rings now: what it is, since when, how many, an example; the remedy says who does what about it.

    While no night comes to its end, that rings, and not all that waits for the night as well.
    """
    with ledger.reading() as connection:
        look = _Look(connection, office.clock(), office.settings.watch, office.settings.company)
        night = [*_night(look)]
        waits_for_the_night = [_listings, _accepted, _letters, _unwritten]
        looks = [_payments, _exporting, _uncertain, _censuses, _mails, *([] if night else waits_for_the_night)]
        return [*night, *(problem for each in looks for problem in each(look))]


def vanished(ledger: Ledger, office: Office) -> list[str]:
    """Return a sentence for each project that Procore lists no more though its invoices are not done: worth knowing."""
    skipped = office.settings.policy.skip_projects
    with ledger.reading() as connection:
        look = _Look(connection, office.clock(), office.settings.watch, office.settings.company)
        listed = [(project, at) for project, at in ages.projects(connection) if at <= look.now]
    newest = max((at for _, at in listed), default=None)
    gone = {project.project_id_procore: (project, at) for project, at in listed if at != newest}
    counts = dict.fromkeys(gone.keys() - set(skipped), 0)
    for item in ledger.items(project_id=list(counts)):
        counts[item.project_id] += item.state not in _DONE
    return [
        f"Procore has not listed {gone[project_id][0].name} since {look.told(gone[project_id][1])}: it became "
        f"inactive, or Procore took our access back. Its invoices that are not done: {count}."
        for project_id, count in counts.items()
        if count
    ]


def note_night(ledger: Ledger, office: Office) -> None:
    """Note that a night came to its end, however it went."""
    with ledger.transaction(office.clock(), "watch") as tx:
        watermarks.move_watermark(tx, watermarks.NIGHT_JOB, tx.now)


def _night(look: _Look) -> Iterator[Problem]:
    ended_at = watermarks.moved_at(look.connection, watermarks.NIGHT_JOB)
    since = ended_at or ages.began_at(look.connection)
    if since and look.is_over(since, look.limits.night_hours):
        words = "The last night finished at" if ended_at else "No night ever finished, and work began at"
        remedy = (
            "Operator: check in Prefect that a worker is online, that the schedule of nightly-sync is active, and "
            "where its last run stopped; then run nightly-sync."
        )
        yield look.ring("night", f"{words} {look.told(since)}.", remedy)


def _payments(look: _Look) -> Iterator[Problem]:
    """R75: something must fetch payments as long as any are to be expected."""
    limit, read_at = look.limits.payments_hours, watermarks.moved_at(look.connection, watermarks.PAYMENTS_JOB)
    if read_at and not look.is_over(read_at, limit):
        return
    count, linked_at = ages.followed(look.connection)
    if linked_at is None or not look.is_over(linked_at, limit):
        return
    words = f"were last read at {look.told(read_at)}" if read_at else "were never read"
    message = f"Payments in {look.erp} {words}. Invoices there that may be paid: {count}, the oldest since "
    remedy = (
        "Operator: check in the last nightly-sync or sync-payments why the step collect payments did not finish; "
        "then run sync-payments."
    )
    yield look.ring("payments", f"{message}{look.told(linked_at)}.", remedy)


def _exporting(look: _Look) -> Iterator[Problem]:
    what = "Invoices whose worker died while it exported them, and which no run took over"
    remedy = (
        "Operator: check that a worker is online, then run keep-watch: it frees what was certainly not sent and looks "
        f"in {look.erp} for the rest. Do not enter them by hand."
    )
    yield from look.stuck("exporting", look.limits.exporting_hours, ages.exporting(look.connection), what, remedy)


def _uncertain(look: _Look) -> Iterator[Problem]:
    what = f"Sent invoices that {look.erp} may or may not have"
    remedy = (
        "Accounting: open the invoice in the view Uncertain and do what it says. Do not enter it by hand. "
        f"Operator: if {look.erp} does not answer, have it fixed."
    )
    yield from look.stuck("uncertain", look.limits.uncertain_hours, ages.uncertain(look.connection), what, remedy)


def _accepted(look: _Look) -> Iterator[Problem]:
    waiting = ages.accepted(look.connection, TRANSIENT)
    what = f"Accepted invoices that have not reached {look.erp}"
    remedy = (
        f"Operator: check with tieout doctor whether {look.erp} answers, and in the last nightly-sync what did not "
        "finish; then run nightly-sync."
    )
    yield from look.stuck("accepted", look.limits.waiting_hours, waiting, what, remedy)


def _letters(look: _Look) -> Iterator[Problem]:
    what = "Locks and confirmations that Procore has not taken"
    remedy = (
        "Operator: check with tieout doctor whether Procore answers; every run tries again. "
        "This holds nothing up, but people in Procore see an old status."
    )
    yield from look.stuck("letters", look.limits.waiting_hours, ages.letters(look.connection), what, remedy)


def _unwritten(look: _Look) -> Iterator[Problem]:
    what = "Payments that Procore does not show"
    remedy = (
        "Project administrator: where the answer names a tool, a tab or a right, switch it on in that project. "
        "Operator: then run sync-payments."
    )
    yield from look.stuck("unwritten", look.limits.waiting_hours, ages.unwritten(look.connection), what, remedy)


def _mails(look: _Look) -> Iterator[Problem]:
    """Other than what waits for the night: every run that decides tries, and so does every watch."""
    what = "Mails that the mail server has not taken"
    remedy = (
        "Operator: check with tieout doctor whether the mail server answers; every keep-watch tries again. "
        "Every decision is valid all the same, but the people concerned do not know of it."
    )
    yield from look.stuck("mails", look.limits.waiting_hours, ages.mails(look.connection), what, remedy)


def _listings(look: _Look) -> Iterator[Problem]:
    """A project that refuses us has answered; one that vanished is in no list of projects any more (see `vanished`)."""
    since = watermarks.silent(look.connection, look.now - timedelta(hours=look.limits.listing_hours))
    visible = ages.visible(look.connection, look.now, since)
    silent = [Waiting(since[project.project_id_procore], project.name) for project in visible]
    what = "Projects of which not every invoice could be read"
    remedy = (
        "Operator: the last nightly-sync says on its Artifacts tab what could not be read. Project administrator: open "
        "that invoice in Procore and save it again; if it cannot be opened there, send Procore's support the message."
    )
    yield from look.stuck("listing", look.limits.listing_hours, silent, what, remedy)


def _censuses(look: _Look) -> Iterator[Problem]:
    lasting = {each.project_id: each for each in census.lasting(look.connection) if each.since <= look.now}
    for project in ages.visible(look.connection, look.now, lasting):
        taken = lasting[project.project_id_procore]
        message = f"{taken.words}, since {look.told(taken.since)}. Reading the whole list again did not help."
        remedy = (
            "Project administrator: open that invoice in Procore and save it again. "
            "Operator: if the next nightly-sync does not bring it either, send Procore's support this message."
        )
        yield look.ring("census", message, remedy)

"""Deliver the mails that decisions and alarms owe people: marked before each one leaves, settled after it."""

from dataclasses import dataclass
from datetime import timedelta

from tieout.connectors.smtp import Mailer
from tieout.errors import RefusedError, SettingsError, TieoutError, TransientError
from tieout.ledger import errands, mails
from tieout.ledger.book import Ledger
from tieout.ledger.mails import Posting
from tieout.office import Office
from tieout.progress import Progress, followed, unseen
from tieout.results import Figure, Result

_ACTOR = "mail"
_PATIENCE = timedelta(days=5)  # after so long a mail that is put off again and again comes back (RFC 5321, 4.5.4.1)


@dataclass(frozen=True)
class Mailed(Result):
    """What came of a pass; `refusals` need a person, `later` is tried again by the next pass, which `why` explains."""

    sent: int = 0
    later: int = 0
    why: str = ""
    refusals: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """Which mails nobody read, and how many wait."""
        waiting = [f"{self.later} mails wait: {self.why}"] if self.later else []
        return [*(f"nobody read it: {refusal}" for refusal in self.refusals), *waiting]

    @property
    def figures(self) -> list[Figure]:
        """How many left."""
        return [("mails sent", self.sent)]


@dataclass(frozen=True)
class _Reply:
    """What came of one mail; `error` is why it did not arrive, or perhaps not."""

    posting: Posting
    error: TieoutError | None = None

    @property
    def problem(self) -> str:
        """Why it did not arrive, in words; empty where it did."""
        return str(self.error) if self.error else ""


def deliver(ledger: Ledger, mailer: Mailer, office: Office, progress: Progress = unseen) -> Mailed:
    """Send every mail that is owed once; what the server cannot take now stays for the next pass.

    Any number of workers may do this at the same time. Raises SettingsError where the server turns us away: then
    every mail waits, and an operator must act.
    """
    with ledger.reading() as connection:
        waiting = mails.open_ids(connection)
    if not waiting or not office.settings.mail.is_on:
        return Mailed()
    replies: list[_Reply] = []
    for mail_id in followed(waiting, len(waiting), progress):
        try:
            mailer.connect()  # before the mail is marked: while the server is away, nothing is
        except TransientError as away:
            return _told(replies, len(waiting) - len(replies), str(away))
        if posting := _claim(ledger, mailer, mail_id, office):
            reply = _send(mailer, posting, office)
            _settle(ledger, reply, office)
            if isinstance(reply.error, SettingsError):
                raise reply.error
            replies.append(reply)
    return _told(replies)


def _told(replies: list[_Reply], untried: int = 0, why: str = "") -> Mailed:
    later = [reply for reply in replies if reply.error and not isinstance(reply.error, RefusedError)]
    return Mailed(
        sent=sum(reply.error is None for reply in replies),
        later=untried + len(later),
        why=why or next((reply.problem for reply in later), ""),
        refusals=tuple(reply.problem for reply in replies if isinstance(reply.error, RefusedError)),
    )


def _claim(ledger: Ledger, mailer: Mailer, mail_id: int, office: Office) -> Posting | None:
    """Take a mail, as far as nobody holds it, and note that it may leave now."""
    with ledger.transaction(office.clock(), _ACTOR) as tx:
        return mails.claim(tx, mail_id, office.settings.export.lease, mailer.request_timeout)


def _send(mailer: Mailer, posting: Posting, office: Office) -> _Reply:
    """Hand one mail over, unless its lease might end while it is under way."""
    document = f"mail to {posting.body.recipient}"
    if not posting.outlasts(office.clock() + mailer.request_timeout):
        return _Reply(posting, TransientError("Mail", document, "its lease would end before an answer"))
    try:
        mailer.send(posting.body)
    except TieoutError as error:
        if office.clock() - posting.body.written_at > _PATIENCE and not isinstance(error, RefusedError | SettingsError):
            words = f"given up after {_PATIENCE.days} days: {error.reason}"
            return _Reply(posting, RefusedError("Mail", document, words))
        return _Reply(posting, error)
    return _Reply(posting)


def _settle(ledger: Ledger, reply: _Reply, office: Office) -> None:
    """Settle what came of a mail that is still ours; one that surely was not taken was not sent."""
    posting, error = reply.posting, reply.error
    with ledger.transaction(office.clock(), _ACTOR) as tx:
        if error is None:
            errands.mark_delivered(tx, posting)
        elif isinstance(error, RefusedError):
            errands.mark_refused(tx, posting, reply.problem)
        elif isinstance(error, TransientError | SettingsError):
            errands.give_back_unsent(tx, posting, reply.problem)
        else:
            errands.give_back(tx, posting, reply.problem)

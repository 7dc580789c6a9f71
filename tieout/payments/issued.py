"""Write the payments that the ledger holds to Procore's Payments Issued, each once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from data_contracts.fetched import FetchedPayment
from data_contracts.voucher import ProcorePayment
from tieout.clock import first_look
from tieout.connectors.procore import Procore
from tieout.errors import ContractError, MismatchError, RefusedError, TieoutError, TransientError, UnconfirmedError
from tieout.ledger import errands, payments
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.payments import Claimed
from tieout.office import Office
from tieout.progress import Progress, followed, unseen
from tieout.results import Figure, Result

Shown = dict[str, list[FetchedPayment]]  # what a commitment's Payments Issued shows, by origin_id
_ACTOR = "payments"


@dataclass(frozen=True)
class Written(Result):
    """What a pass over the open payments did."""

    written: int = 0
    found: int = 0
    problems: tuple[str, ...] = ()
    is_interrupted: bool = False  # Procore was away: the task tries again

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be written."""
        return self.problems

    @property
    def figures(self) -> list[Figure]:
        """How many were written."""
        return [("payments written to Procore", self.written)]


@dataclass(frozen=True)
class _Done:
    """What became of one payment."""

    outcome: str  # written, found; or refused, differs, waits, taken over
    problem: str = ""


def write(ledger: Ledger, procore: Procore, office: Office, progress: Progress = unseen) -> Written:
    """Write the open payments, each exactly once: intent, look, send, look, settle (design section 2).

    The row of a payment is its intent. Any number of workers may do this at the same time.
    """
    with ledger.reading() as connection:
        owed = payments.unwritten(connection)
    done: list[_Done] = []
    closed: dict[int, str] = {}  # projects whose Commitments or Payments Issued tool is off, found by looking (R9, R10)
    is_interrupted = False
    whole = sum(map(len, owed.values()))
    for (project_id, _), payment_ids in followed(owed.items(), whole, progress, lambda each: len(each[1])):
        if project_id in closed:
            _note(ledger, payment_ids, closed[project_id], office)
            continue
        claimed = _claim(ledger, procore, payment_ids, office)
        try:
            _write_commitment(ledger, procore, claimed, office, done)
        except TieoutError as error:
            _release(ledger, claimed, error, office)
            if isinstance(error, RefusedError):
                closed[project_id] = str(error)
                done.append(_Done("refused", f"project {project_id} skipped: {error}"))
            elif isinstance(error, ContractError):
                done.append(_Done("refused", str(error)))
            elif isinstance(error, TransientError | UnconfirmedError):
                is_interrupted = True
            else:
                raise
    counts = Counter(each.outcome for each in done)
    problems = tuple(each.problem for each in done if each.problem)
    return Written(counts["written"], counts["found"], problems, is_interrupted)


def open_payments(ledger: Ledger) -> int:
    """Return how many payments Procore has not been told of yet."""
    with ledger.reading() as connection:
        return payments.count_unwritten(connection)


def _claim(ledger: Ledger, procore: Procore, payment_ids: Sequence[int], office: Office) -> list[Claimed]:
    with ledger.transaction(office.clock(), _ACTOR) as tx:
        return payments.claim(tx, payment_ids, office.settings.export.lease, procore.request_timeout)


def _write_commitment(
    ledger: Ledger, procore: Procore, claimed: Sequence[Claimed], office: Office, done: list[_Done]
) -> None:
    """Write what one commitment is owed; a payment that is refused keeps no other one back."""
    for each in _look_first(ledger, procore, claimed, office, done) if claimed else []:
        done.append(_write_one(ledger, procore, each, office))


def _look_first(
    ledger: Ledger, procore: Procore, claimed: Sequence[Claimed], office: Office, done: list[_Done]
) -> list[Claimed]:
    """Look by our origin_id before writing, and return what may be written.

    That is what surely never left, and what two looks did not find after it may have left, far enough apart (law 4).
    """
    looked_at = office.clock()
    shown = _look(procore, claimed[0].body)
    absent = [each for each in claimed if each.body.origin_id not in shown]
    clear = [each for each in absent if each.sent_at is None or _is_absent_twice(procore, each, looked_at)]
    settled = [each for each in claimed if each not in clear]
    if settled:
        with ledger.transaction(office.clock(), _ACTOR) as tx:
            for each in settled:
                there = shown.get(each.body.origin_id, [])
                done.append(_settle_found(tx, each, there) if there else _wait(tx, each, looked_at))
    return clear


def _is_absent_twice(procore: Procore, each: Claimed, looked_at: datetime) -> bool:
    apart = looked_at - first_look(each.absent_at, looked_at)
    return each.absent_at is not None and apart >= procore.settles_within


def _mark_sent(ledger: Ledger, each: Claimed, office: Office) -> Claimed | None:
    """Note that a request may leave now; None when somebody took the payment over: it is theirs now."""
    with ledger.transaction(office.clock(), _ACTOR) as tx:
        return errands.mark_sent(tx, each, office.settings.export.lease)


def _write_one(ledger: Ledger, procore: Procore, each: Claimed, office: Office) -> _Done:
    """Write one payment and settle what came of it."""
    marked = _mark_sent(ledger, each, office)
    if marked is None:
        return _Done("taken over")
    try:
        payment_id = _send(procore, marked, office)
    except TransientError:
        _unmark(ledger, marked, office)
        raise
    except (UnconfirmedError, RefusedError) as error:
        return _look_after(ledger, procore, marked, error, office)
    return _settle(ledger, marked, payment_id, office)


def _send(procore: Procore, marked: Claimed, office: Office) -> int:
    """Send the request, unless the lease might end while it is under way."""
    if not marked.outlasts(office.clock() + procore.request_timeout):
        raise TransientError("Procore", f"payment {marked.body.origin_id}", "its lease would end before an answer")
    return procore.record_payment(marked.body)


def _unmark(ledger: Ledger, marked: Claimed, office: Office) -> None:
    """Take back that a request may have left: surely none did."""
    with ledger.transaction(office.clock(), _ACTOR) as tx:
        errands.give_back_unsent(tx, marked)


def _settle(ledger: Ledger, marked: Claimed, payment_id: int, office: Office) -> _Done:
    """Settle what Procore took."""
    with ledger.transaction(office.clock(), _ACTOR) as tx:
        if payments.mark_written(tx, marked, payment_id):
            return _Done("written")
    # We were away for longer than our lease. Whoever took it over finds ours, or was there first.
    words = "two workers wrote it; check that Procore shows it once"
    return _Done("taken over", str(MismatchError("Procore", f"payment {marked.body.origin_id}", words)))


def _look_after(
    ledger: Ledger, procore: Procore, marked: Claimed, error: UnconfirmedError | RefusedError, office: Office
) -> _Done:
    """Settle what Procore shows after an answer that was lost, or a refusal: another one may just have written it."""
    looked_at = office.clock()
    there = _look(procore, marked.body).get(marked.body.origin_id, [])
    with ledger.transaction(office.clock(), _ACTOR) as tx:
        if there:
            return _settle_found(tx, marked, there)
        if isinstance(error, RefusedError):
            errands.give_back_unsent(tx, marked, str(error))
            return _Done("refused", str(error))
        errands.give_back(tx, marked, str(error), absent_at=looked_at)
    raise error  # it may still arrive, and Procore is not well: the others of this commitment wait for the next pass


def _settle_found(tx: Transaction, each: Claimed, there: Sequence[FetchedPayment]) -> _Done:
    """Settle what a look found: ours and equal is written; anything else a person decides."""
    [*more, first] = there
    different = {name: pair for row in there for name, pair in row.differences(each.body).items()}
    if not more and not different:
        return _Done("found" if payments.mark_written(tx, each, first.payment_id_procore) else "taken over")
    words = [
        f"{name.removesuffix('_procore').replace('_', ' ')} {shown} instead of {meant}"
        for name, (meant, shown) in different.items()
    ]
    times = [f"{len(there)} payments with this origin_id"] if more else []
    problem = str(MismatchError("Procore", f"payment {each.body.origin_id}", f"it shows {', '.join(times + words)}"))
    errands.give_back(tx, each, problem)
    return _Done("differs", problem)


def _wait(tx: Transaction, each: Claimed, looked_at: datetime) -> _Done:
    """Leave what may have left and is not there to a later look."""
    words = "the answer was lost; tieout writes it again if two looks do not find it"
    problem = str(UnconfirmedError("Procore", f"payment {each.body.origin_id}", words))
    errands.give_back(tx, each, problem, absent_at=first_look(each.absent_at, looked_at))
    return _Done("waits", problem)


def _release(ledger: Ledger, claimed: Sequence[Claimed], error: TieoutError, office: Office) -> None:
    """Give back what is not settled, and say why where that needs a person."""
    problem = str(error) if isinstance(error, RefusedError | ContractError) else None
    with ledger.transaction(office.clock(), _ACTOR) as tx:
        for each in claimed:
            errands.give_back(tx, each, problem)


def _note(ledger: Ledger, payment_ids: Sequence[int], problem: str, office: Office) -> None:
    with ledger.transaction(office.clock(), _ACTOR) as tx:
        payments.note_problem(tx, payment_ids, problem)


def _look(procore: Procore, like: ProcorePayment) -> Shown:
    shown: Shown = {}
    for row in procore.payments(like.project_id_procore, like.commitment_id_procore):
        if row.origin_id:
            shown.setdefault(row.origin_id, []).append(row)
    return shown

"""Deliver what decisions owe Procore: locks, confirmations, unlocks; absolute values, so that repeating is harmless."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from data_contracts.fetched import FetchedInvoice
from tieout.connectors.procore import Procore
from tieout.errors import RefusedError, TieoutError, TransientError, UnconfirmedError
from tieout.intake.invoices import store_bodies
from tieout.ledger import database, errands, letters, sightings
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.letters import Owed
from tieout.ledger.sightings import Sighting
from tieout.office import Office
from tieout.progress import Progress, followed, unseen
from tieout.results import Result

_PIECE = 50  # items per commit
_ACTOR = "outbox"


@dataclass(frozen=True)
class Delivered(Result):
    """What came of a pass; `refusals` need a person, `later` is tried again by the next pass."""

    done: int = 0
    later: int = 0
    refusals: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """What Procore refused, and how many wait."""
        waiting = [f"{self.later} write-backs wait until Procore takes them"] if self.later else []
        return [*self.refusals, *waiting]


@dataclass(frozen=True)
class _Reply:
    """What came of one letter: the invoice as Procore showed it afterwards, or why it shows none."""

    owed: Owed
    fetched: FetchedInvoice | None = None
    refusal: str = ""
    later: str = ""
    is_unsent: bool = False  # surely nothing left


def deliver(ledger: Ledger, procore: Procore, office: Office, progress: Progress = unseen) -> Delivered:
    """Write the newest letter of every item once; what Procore cannot take now stays for the next pass.

    Any number of workers may do this at the same time. Whoever holds an item keeps the others from it, so they are the
    ones to deliver what is put for it meanwhile: a pass ends when there is no letter that it has not tried.
    """
    if office.settings.export.lock == "watch":
        return _write_nothing(ledger, office)
    replies: list[_Reply] = []
    tried: set[int] = set()
    with ThreadPoolExecutor(office.settings.export.writers) as pool:
        while newest := _untried(ledger, tried):
            tried |= {*newest.values()}
            for piece in followed(database.in_pieces(newest, _PIECE), len(newest), progress, len):
                replies += _deliver_piece(ledger, procore, piece, office, pool)
    return Delivered(
        done=sum(reply.fetched is not None for reply in replies),
        later=sum(bool(reply.later) for reply in replies),
        refusals=tuple(reply.refusal for reply in replies if reply.refusal),
    )


def undelivered(ledger: Ledger) -> list[tuple[str, str]]:
    """Return (invoice number, problem) of what Procore refused or could not take yet."""
    with ledger.reading() as connection:
        return letters.problems(connection)


def _write_nothing(ledger: Ledger, office: Office) -> Delivered:
    """Another integration owns this company's origin fields: nothing is written, the ledger alone knows."""
    with ledger.transaction(office.clock(), _ACTOR) as tx:
        for each in letters.owed(tx.connection):
            errands.mark_delivered(tx, each)
    return Delivered()


def _untried(ledger: Ledger, tried: set[int]) -> dict[int, int]:
    with ledger.reading() as connection:
        newest = letters.newest_open(connection)
    return {item_id: letter_id for item_id, letter_id in newest.items() if letter_id not in tried}


def _deliver_piece(
    ledger: Ledger, procore: Procore, item_ids: Sequence[int], office: Office, pool: ThreadPoolExecutor
) -> list[_Reply]:
    """Carry the letters of some items through, and return what became of those that are ours.

    A letter is looked for only where an answer was lost. Its first request needs no look: what it says is absolute,
    so that Procore having it already does no harm, and the answer shows the invoice as it is afterwards.
    """
    claimed, before = _claim(ledger, procore, item_ids, office)
    try:
        replies = _look_first(procore, [each for each in claimed if each.sent_at])
        looked_up = [reply.owed for reply in replies]
        marked = _mark_sent(ledger, [each for each in claimed if each not in looked_up], office)
        replies += pool.map(lambda each: _write_one(procore, each, office), marked)
    except TieoutError:
        _release(ledger, claimed, office)
        raise
    return _settle(ledger, procore, replies, before, office)


def _claim(
    ledger: Ledger, procore: Procore, item_ids: Sequence[int], office: Office
) -> tuple[list[Owed], dict[int, Sighting]]:
    """Take the letters of these items, as far as nobody holds them, and return them with what Procore showed last."""
    with ledger.transaction(office.clock(), _ACTOR) as tx:
        claimed = letters.claim(tx, item_ids, office.settings.export.lease, procore.request_timeout)
        return claimed, sightings.sightings_of(tx.connection, [each.body.item.invoice_id for each in claimed])


def _look_first(procore: Procore, doubtful: Sequence[Owed]) -> list[_Reply]:
    """Look whether letters whose answer was lost have arrived; what has not is left out, to be written again."""
    by_project: dict[int, dict[int, Owed]] = {}
    for each in doubtful:
        by_project.setdefault(each.body.item.project_id, {})[each.body.item.invoice_id] = each
    replies = []
    for project_id, owed in by_project.items():
        try:
            shown = procore.invoices(project_id, list(owed))
        except TransientError as away:
            replies += [_Reply(each, later=str(away), is_unsent=True) for each in owed.values()]
        except RefusedError:
            continue  # writing is refused as well, for each invoice with its own words
        else:
            pairs = [(owed[each.invoice_id_procore], each) for each in shown]
            replies += [_Reply(each, fetched) for each, fetched in pairs if _shows(fetched, each)]
    return replies


def _mark_sent(ledger: Ledger, claimed: Sequence[Owed], office: Office) -> list[Owed]:
    """Note that requests may leave now; what somebody took over from us is left out."""
    if not claimed:
        return []
    with ledger.transaction(office.clock(), _ACTOR) as tx:
        marked = [errands.mark_sent(tx, each, office.settings.export.lease) for each in claimed]
    return [each for each in marked if each]


def _write_one(procore: Procore, owed: Owed, office: Office) -> _Reply:
    """Send one letter, unless the lease might end while it is under way."""
    item, (origin_id, origin_data) = owed.body.item, owed.body.origin
    if item.commitment_id is None:
        return _Reply(owed, refusal=f"{item.number}: its commitment is unknown, so tieout cannot update it in Procore")
    if not owed.outlasts(office.clock() + procore.request_timeout):
        return _Reply(owed, later="its lease would end before an answer", is_unsent=True)
    try:
        fetched = procore.set_origin(
            item.project_id, item.commitment_id, item.invoice_id, origin_id=origin_id, origin_data=origin_data
        )
    except TransientError as error:
        return _Reply(owed, later=str(error), is_unsent=True)
    except UnconfirmedError as error:
        return _Reply(owed, later=str(error))
    except RefusedError as refusal:
        return _Reply(owed, refusal=f"{item.number}: {refusal}")
    return _Reply(owed, fetched)


def _settle(
    ledger: Ledger, procore: Procore, replies: Sequence[_Reply], before: Mapping[int, Sighting], office: Office
) -> list[_Reply]:
    """Settle what came of the letters that are still ours, and return that.

    Our own write moved Procore's updated_at; what came back tells whether somebody else changed the invoice as well.
    """
    if not replies:
        return []
    with ledger.transaction(office.clock(), _ACTOR) as tx:
        newest = store_bodies(tx, procore.company_id, [reply.fetched for reply in replies if reply.fetched], before)
        # In the order in which they are claimed, so that no two wait for each other in turn.
        in_order = sorted(replies, key=lambda reply: reply.owed.body.item.item_id)
        return [reply for reply in (_proven(each, newest) for each in in_order) if _record(tx, reply)]


def _proven(reply: _Reply, newest: set[int]) -> _Reply:
    """An answer proves a delivery where it shows it, and where nobody has seen the invoice later than that."""
    if reply.fetched is None or (reply.owed.body.item.invoice_id in newest and _shows(reply.fetched, reply.owed)):
        return reply
    return _Reply(reply.owed, later="Procore does not show what was written; tieout looks again")


def _record(tx: Transaction, reply: _Reply) -> bool:
    if reply.fetched is not None:
        return errands.mark_delivered(tx, reply.owed)
    if reply.refusal:
        return errands.mark_refused(tx, reply.owed, reply.refusal)
    leave = errands.give_back_unsent if reply.is_unsent else errands.give_back
    return leave(tx, reply.owed, reply.later)


def _release(ledger: Ledger, claimed: Sequence[Owed], office: Office) -> None:
    """Give back what is not settled; what may have left is looked for by the next pass."""
    with ledger.transaction(office.clock(), _ACTOR) as tx:
        for each in claimed:
            errands.give_back(tx, each)


def _shows(fetched: FetchedInvoice, owed: Owed) -> bool:
    return (fetched.origin_id, fetched.origin_data) == owed.body.origin

"""Carry accepted invoices into the ERP, each exactly once: intent, look, send, look, settle (design section 2)."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from data_contracts.reference import Finding
from data_contracts.voucher import Outcome, Refused
from tieout.connectors.base import ERP
from tieout.errors import SettingsError, TransientError, UnconfirmedError
from tieout.export import look
from tieout.export.look import Found
from tieout.export.outcome import fail, lose, release, settle_answer, settle_found
from tieout.export.vouchers import vouchers
from tieout.judgement.basis import Basis
from tieout.ledger import states
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.claims import free, still_ours
from tieout.ledger.intents import Intent, close_intent, live_intents, mark_sent, open_intent, take_up
from tieout.office import Office


@dataclass(frozen=True)
class Chunk:
    """A portion of what is accepted; which invoices are in it shows when it is claimed."""

    number: int
    size: int


@dataclass(frozen=True)
class Exported:
    """What became of a claimed chunk."""

    counts: dict[str, int] = field(default_factory=dict)
    invoice_ids: tuple[int, ...] = ()


def waiting(ledger: Ledger) -> int:
    """Return how many accepted invoices wait to be exported."""
    return len(ledger.items(state=states.ACCEPTED))


def in_chunks(waiting: int, size: int) -> list[Chunk]:
    """Return the chunks of at most `size` in which so many invoices can be exported."""
    starts = range(0, waiting, size)
    return [Chunk(number, min(size, waiting - start)) for number, start in enumerate(starts, start=1)]


def export_chunk(ledger: Ledger, erp: ERP, basis: Basis, office: Office, only: Sequence[int] | None = None) -> Exported:
    """Claim one chunk of accepted invoices and carry it through; an empty result means that nothing was left.

    Raises TransientError after giving the claimed invoices back.
    """
    claimed, intents = _claim(ledger, erp, basis, office, only)
    unseen = _look_first(ledger, erp, intents, office)
    if unseen:
        _send(ledger, erp, unseen, office)
    after = ledger.items(item_id=claimed) if claimed else []
    return Exported(dict(Counter(item.state for item in after)), tuple(item.invoice_id for item in after))


def _claim(
    ledger: Ledger, erp: ERP, basis: Basis, office: Office, only: Sequence[int] | None
) -> tuple[list[int], list[Intent]]:
    """Claim a chunk and freeze what will be written, in one commit before anything is sent; return all item ids.

    One that may have been sent is taken up as it is; one that surely was not gets today's batch and codes (law 6).
    """
    patience = office.settings.export
    size = min(patience.chunk, erp.capabilities.invoices_per_call)
    intents = []
    with ledger.transaction(office.clock(), office.actor) as tx:

        def prints(project_ids: Collection[int]) -> dict[int, str]:
            nonlocal basis  # vouchers are made of the very books that are compared here
            basis = basis.with_books(tx.connection, project_ids)
            return basis.prints

        items = free(tx, prints, size, only)
        live = live_intents(tx.connection, [item for item in items if item.lease_token])  # claimed before
        kept = {item_id: each for item_id, each in live.items() if each.is_kept}
        anew = vouchers(tx.connection, basis, [item for item in items if item.item_id not in kept], tx.now)
        for item in items:
            if item.item_id in kept:
                intents.append(take_up(tx, kept[item.item_id], patience.lease))
                continue
            if item.item_id in live:
                close_intent(tx, item, "superseded" if live[item.item_id].sent_at else "not sent", "", is_live=False)
            made = anew[item.item_id]
            if isinstance(made, Finding):
                fail(tx, item, [made])
            else:
                intents.append(open_intent(tx, item, made, erp.preview(made), patience.lease))
    return [item.item_id for item in items], intents


def _look_first(ledger: Ledger, erp: ERP, intents: Sequence[Intent], office: Office) -> list[Intent]:
    """Look by our keys before the first send: a ledger restored from a backup must not send twice (law 2)."""
    try:
        found = look.look(erp, intents)
    except (TransientError, SettingsError):
        _release(ledger, intents, office)
        raise
    shown = [each for each in intents if each.voucher.key in found]
    if shown:
        with ledger.transaction(office.clock(), office.actor) as tx:
            for intent in _ours(tx, shown):
                settle_found(tx, intent, found)
    return [intent for intent in intents if intent.voucher.key not in found]


def _send(ledger: Ledger, erp: ERP, intents: Sequence[Intent], office: Office) -> None:
    """Send what is still ours and settle what came of it."""
    marked = _mark_sent(ledger, erp, intents, office)
    try:
        outcomes = erp.create([intent.voucher for intent in marked]) if marked else []
    except (TransientError, SettingsError):
        _release(ledger, marked, office, was_marked=True)
        raise
    except UnconfirmedError as lost:
        _look_after(ledger, erp, marked, str(lost), office)
        return
    _settle(ledger, erp, list(zip(marked, outcomes, strict=True)), office)


def _mark_sent(ledger: Ledger, erp: ERP, intents: Sequence[Intent], office: Office) -> list[Intent]:
    """Note that a request may leave now; nothing may leave when the lease might end while it is under way."""
    until = min(intent.item.lease_until for intent in intents if intent.item.lease_until)
    if office.clock() + erp.capabilities.request_timeout >= until:
        _release(ledger, intents, office)
        return []
    with ledger.transaction(office.clock(), office.actor) as tx:
        ours = _ours(tx, intents)
        mark_sent(tx, ours, tx.now)
    return ours


def _settle(ledger: Ledger, erp: ERP, answered: Sequence[tuple[Intent, Outcome]], office: Office) -> None:
    """Settle what the ERP answered; what it refused though it may have been sent before is looked for first.

    An earlier request, whose answer was lost, may have arrived in between: then ours is what makes it a duplicate.
    """
    doubtful = [each for each, outcome in answered if isinstance(outcome, Refused) and each.sent_at is not None]
    try:
        found = look.look(erp, doubtful)
    except TransientError as away:
        with ledger.transaction(office.clock(), office.actor) as tx:
            for intent in _ours(tx, doubtful):
                lose(tx, intent, str(away), has_looked=False)
        answered, found = [(each, outcome) for each, outcome in answered if each not in doubtful], Found()
    with ledger.transaction(office.clock(), office.actor) as tx:
        ours = still_ours(tx, [intent.item for intent, _ in answered])
        for intent, outcome in (each for each in answered if each[0].item.item_id in ours):
            if intent.voucher.key in found:
                settle_found(tx, intent, found)
            else:
                settle_answer(tx, intent, outcome)


def _look_after(ledger: Ledger, erp: ERP, intents: Sequence[Intent], why: str, office: Office) -> None:
    """The answer is lost: settle what the ERP shows; what it does not show stays UNCERTAIN until it has settled."""
    try:
        found, has_looked = look.look(erp, intents), True
    except TransientError:
        found, has_looked = Found(), False
    with ledger.transaction(office.clock(), office.actor) as tx:
        for intent in _ours(tx, intents):
            if intent.voucher.key in found:
                settle_found(tx, replace(intent, sent_at=tx.now), found)
            else:
                lose(tx, intent, why, has_looked)


def _release(ledger: Ledger, intents: Sequence[Intent], office: Office, was_marked: bool = False) -> None:
    with ledger.transaction(office.clock(), office.actor) as tx:
        ours = _ours(tx, intents)
        if was_marked:
            mark_sent(tx, [intent for intent in ours if intent.sent_at is None], None)
        for intent in ours:
            release(tx, intent, office.settings.export.attempts)


def _ours(tx: Transaction, intents: Sequence[Intent]) -> list[Intent]:
    """Leave out what somebody took over from us, for example while this process was stopped: it is theirs now."""
    ours = still_ours(tx, [intent.item for intent in intents])
    return [intent for intent in intents if intent.item.item_id in ours]

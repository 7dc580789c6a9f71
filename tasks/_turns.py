"""Whose turn it is: what another run is doing just now is left to it.

A turn is a courtesy, and a lease, so that a run that died is in nobody's way for long. That two runs at once do no harm
is the doing of the leases on the invoices.
"""

from collections.abc import Sequence
from contextlib import suppress

from tasks import _prefect
from tasks._run import open_office, run_id
from tieout.errors import TieoutError
from tieout.ledger.turns import end_turn, take_turn
from tieout.opening import open_ledger

NIGHT = "nightly-sync"
PAYMENTS = "payments"


def take(turns: Sequence[str]) -> str | None:
    """Take the turns of these jobs; return the run that has the first of them and still goes on, if there is one."""
    other = hold(turns)
    if other and not _goes_on(other):
        give_back(turns, other)
        other = hold(turns)
    return other


def hold(turns: Sequence[str]) -> str | None:
    """Take or renew the turns of these jobs; return the run that has the first of them, if it is not this one."""
    if not turns:
        return None
    office = open_office()
    lease = office.settings.export.lease
    # A ledger that is away is told of by the step that needs it.
    with suppress(TieoutError), open_ledger(office) as ledger, ledger.transaction(office.clock(), office.actor) as tx:
        for turn in turns:
            other = take_turn(tx, turn, run_id(), lease)
            if other and turn == turns[0]:
                return other
    return None


def give_back(turns: Sequence[str], holder: str) -> None:
    """Let the next run have the turns of this holder at once."""
    office = open_office()
    with suppress(TieoutError), open_ledger(office) as ledger, ledger.transaction(office.clock(), office.actor) as tx:
        for turn in turns:
            end_turn(tx, turn, holder)


def _goes_on(run: str) -> bool:
    with _prefect.open_screen() as client:
        return run in _prefect.not_ended(client, [run])

"""The census of a project: how many of its invoices Procore says may be sent, and how many the ledger knows."""

from collections.abc import Set
from datetime import datetime

from sqlalchemy import Connection, func, select

from data_contracts.contract import Contract
from data_contracts.invoice import SENDABLE
from tieout.ledger import references, schema, sightings
from tieout.ledger.book import Transaction

_PREFIX = "census/"


class Census(Contract):
    """One count; ids are Procore's invoice ids."""

    project_id: int
    project: str
    in_procore: int
    in_ledger: int
    at: datetime
    since: datetime  # since when they differ, without a break
    differing: tuple[int, ...] = ()  # may be sent by what one of the two says, but not by what the other says
    lasting: tuple[int, ...] = ()  # of these, what reading the whole list again did not put right

    def is_doubtful_since(self, listed_at: datetime) -> bool:
        """Whether something was found to differ after everything was listed."""
        return bool(self.differing) and self.at >= listed_at

    @property
    def words(self) -> str:
        """Both numbers and what they disagree on, as part of a sentence."""
        shown, *rest = self.lasting or self.differing
        others = f" and {len(rest)} more" if rest else ""
        return (
            f"Procore has {self.in_procore} invoices of {self.project} that may be sent, the ledger knows "
            f"{self.in_ledger}; they disagree on Procore's invoice {shown}{others}"
        )


def compare(connection: Connection, counted: Census, listed: Set[int], whole_read_at: datetime | None) -> Census:
    """Return the census with the ids on which Procore's list of what may be sent and the ledger do not agree.

    `whole_read_at` is when all that the project has was listed last: what differed before that and still does, lasts.
    """
    seen = sightings.sightings(connection, counted.project_id).values()
    known = [each for each in seen if each.status in SENDABLE and not each.is_gone]
    # A body that cannot be read names no commitment, and its status is a guess: the invoice is held for that already.
    surplus = {each.invoice_id for each in known if each.commitment_id is not None} - listed
    differing = surplus | (listed - {each.invoice_id for each in known})
    before = last(connection, counted.project_id)
    again = differing & set(before.differing) if before else set()
    lasting, since = set[int](), counted.at
    if before and again:
        was_read = whole_read_at is not None and whole_read_at > before.at
        lasting, since = again if was_read else again & set(before.lasting), min(before.since, counted.at)
    told = {"differing": tuple(sorted(differing)), "lasting": tuple(sorted(lasting)), "since": since}
    return counted.model_copy(update=told)


def store(tx: Transaction, census: Census) -> None:
    """Keep it in the place of the project's last one."""
    references.store_reference(tx, f"{_PREFIX}{census.project_id}", census.model_dump_json())


def last(connection: Connection, project_id: int) -> Census | None:
    """Return the project's last census, None before the first one."""
    name = f"{_PREFIX}{project_id}"
    body = references.references(connection, [name]).get(name)
    return Census.model_validate_json(body) if body else None


def lasting(connection: Connection) -> list[Census]:
    """Return the last census of each project in which a difference lasts."""
    table = schema.reference.c
    # As `store` writes it: to read the censuses of all projects would take the longer, the more there are.
    lasts = (table.name.startswith(_PREFIX), table.body.not_like('%"lasting":[]%'))
    return [Census.model_validate_json(body) for body in connection.execute(select(table.body).where(*lasts)).scalars()]


def count_sendable(connection: Connection, project_id: int) -> int:
    """Return how many invoices of the project may be sent as far as the ledger knows."""
    seen = schema.sighting.c
    is_sendable = (seen.project_id == project_id, seen.status.in_(SENDABLE), seen.is_gone.is_(False))
    return int(connection.execute(select(func.count()).where(*is_sendable)).scalar_one())

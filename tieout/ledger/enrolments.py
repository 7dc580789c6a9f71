"""Enrolments: which secret of a person counts, and which of its codes were used or wrong; no secret is kept here."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from tieout.ledger import schema
from tieout.ledger.book import Transaction
from tieout.ledger.database import to_change

_TABLE = schema.enrolment


@dataclass(frozen=True, slots=True)
class Enrolment:
    """How one person's codes stand."""

    name: str
    issued: int = 0  # the newest generation that was ever shown
    generation: int = 0  # the one that counts; 0 is none
    last_step: int = 0  # the time step of the newest code that counted
    wrong_codes: int = 0  # in a row
    locked_until: datetime | None = None
    last_use: str = ""  # the decision for which that code counted


def read_enrolment(connection: Connection, name: str) -> Enrolment:
    """Return how a person's codes stand; in a transaction nobody else checks a code of theirs until its end."""
    row = connection.execute(to_change(connection, select(_TABLE).where(_TABLE.c.name == name))).first()
    return Enrolment(*row) if row else Enrolment(name)


def write_enrolment(tx: Transaction, name: str, **changes: Any) -> None:
    """Note what changed."""
    tx.upsert(_TABLE, ("name",), {"name": name, **changes})

"""What judging looks up, as it was read last: projects, books, master data, policies."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, insert, select

from data_contracts.commitment import Project
from tieout.ledger import schema
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.database import in_pieces
from tieout.ledger.digests import canonical

_REFERENCES = select(schema.reference.c.name, schema.reference.c.body)


def store_reference(tx: Transaction, name: str, body: str) -> None:
    """Keep the newest state of something that judging looks up."""
    row = {"name": name, "body": body, "read_at": tx.now}
    tx.upsert(schema.reference, ("name",), row)


def references(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    """Return the bodies of the references of these names, by name."""
    found: dict[str, str] = {}
    table = schema.reference.c
    for piece in in_pieces(names):
        found |= {row.name: row.body for row in connection.execute(_REFERENCES.where(table.name.in_(piece)))}
    return found


def references_under(connection: Connection, prefix: str) -> dict[str, str]:
    """Return the bodies of all references whose name begins so, by name: as many as there are projects."""
    is_under = schema.reference.c.name.startswith(prefix, autoescape=True)
    return {row.name: row.body for row in connection.execute(_REFERENCES.where(is_under))}


def names_under(connection: Connection, prefix: str) -> list[str]:
    """Return the names of all references that begin so."""
    table = schema.reference.c
    return list(connection.execute(select(table.name).where(table.name.startswith(prefix, autoescape=True))).scalars())


def policy_version(tx: Transaction, body: dict[str, Any]) -> int:
    """Return the version of this policy; a changed one becomes the next version."""
    table = schema.policy
    last = tx.connection.execute(select(table).order_by(table.c.version.desc()).limit(1)).first()
    text = canonical(body)
    if last is not None and last.body == text:
        return int(last.version)
    added = tx.connection.execute(insert(table).values(body=text, since=tx.now))
    return int(added.inserted_primary_key[0])  # type: ignore[index]


_PROJECT = "project/"


def known_projects(ledger: Ledger, only: Collection[int] | None = None) -> dict[int, Project]:
    """Return the projects that were listed last, all or those of them that are asked for, by Procore id."""
    with ledger.reading() as connection:
        if only is None:
            stored = references_under(connection, _PROJECT)
        else:
            stored = references(connection, [f"{_PROJECT}{each}" for each in only])
    projects = [Project.model_validate_json(body) for body in stored.values()]
    return {project.project_id_procore: project for project in projects}


def project_name(known: dict[int, Project], project_id: int) -> str:
    """Return what people call the project, its number in Procore where it was never listed."""
    return known[project_id].name if project_id in known else f"project {project_id}"

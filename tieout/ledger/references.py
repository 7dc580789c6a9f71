"""What judging looks up, as it was read last: projects, books, master data, policies."""

from typing import Any

from sqlalchemy import Connection, insert, select

from data_contracts.commitment import Project
from tieout.ledger import schema
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.digests import canonical


def store_reference(tx: Transaction, name: str, body: str) -> None:
    """Keep the newest state of something that judging looks up."""
    row = {"name": name, "body": body, "read_at": tx.now}
    tx.upsert(schema.reference, ("name",), row)


def references(connection: Connection, prefix: str) -> dict[str, str]:
    """Return the bodies of the references whose name begins so, by name."""
    table = schema.reference
    rows = connection.execute(
        select(table.c.name, table.c.body).where(table.c.name.startswith(prefix, autoescape=True))
    )
    return {row.name: row.body for row in rows}


def policy_version(tx: Transaction, body: dict[str, Any]) -> int:
    """Return the version of this policy; a changed one becomes the next version."""
    table = schema.policy
    last = tx.connection.execute(select(table).order_by(table.c.version.desc()).limit(1)).first()
    text = canonical(body)
    if last is not None and last.body == text:
        return int(last.version)
    added = tx.connection.execute(insert(table).values(body=text, since=tx.now))
    return int(added.inserted_primary_key[0])  # type: ignore[index]


def known_projects(ledger: Ledger) -> dict[int, Project]:
    """Return the projects that were listed last, by Procore id."""
    with ledger.reading() as connection:
        stored = references(connection, "project/")
    projects = [Project.model_validate_json(body) for body in stored.values()]
    return {project.project_id_procore: project for project in projects}


def project_name(known: dict[int, Project], project_id: int) -> str:
    """Return what people call the project, its number in Procore where it was never listed."""
    return known[project_id].name if project_id in known else f"project {project_id}"

"""What came of each time that invoices were judged, as data (requirements C): rows are added, never changed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import orjson
from sqlalchemy import Connection, func, insert, select

from data_contracts.quality import Broken, Day
from data_contracts.reference import Finding
from tieout.ledger import schema
from tieout.ledger.book import Transaction
from tieout.ledger.digests import canonical
from tieout.ledger.writes import adding_to

_BATCH, _JUDGED, _FOUND, _SEEN = schema.judgement.c, schema.judged.c, schema.finding.c, schema.sighting.c


@dataclass(frozen=True, slots=True)
class Judgement:
    """One invoice that was judged: what was looked at, and what was found."""

    company_id: int
    invoice_id: int
    snapshot_id: int
    findings: Iterable[Finding]


def note_rules(tx: Transaction, version: str, severities: Mapping[str, str]) -> None:
    """Remember which rules there are under this version."""
    row = {"version": version, "body": canonical(dict(severities)), "since": tx.now}
    tx.connection.execute(adding_to(tx.connection, schema.rules).values(row).on_conflict_do_nothing())


def keep(tx: Transaction, on: date, rules: str, policy: int, results: Iterable[Judgement]) -> None:
    """Keep what came of judging these together, by these versions of the rules and of the policy."""
    results = list(results)
    if not results:
        return
    batch = {"at": tx.now, "on_day": on.isoformat(), "actor": tx.actor}
    added = tx.connection.execute(insert(schema.judgement).values(**batch, rules=rules, policy=policy))
    judgement_id = added.inserted_primary_key[0]  # type: ignore[index]  # of one row it is never none
    for each in results:
        key = {"judgement_id": judgement_id, "invoice_id": each.invoice_id, "company_id": each.company_id}
        tx.insert(schema.judged, {**key, "snapshot_id": each.snapshot_id})
        for (rule, figure), severity in {(found.rule, found.figure): found.severity for found in each.findings}.items():
            tx.insert(schema.finding, {**key, "rule": rule, "figure": figure, "severity": severity})


def last_days(connection: Connection, most: int) -> list[Day]:
    """Return the last days on which anything was judged, at most so many, oldest first."""
    rows = connection.execute(
        select(_BATCH.on_day, func.max(_BATCH.at)).group_by(_BATCH.on_day).order_by(_BATCH.on_day.desc()).limit(most)
    ).tuples()
    return [_day(connection, on_day, last_at) for on_day, last_at in rows][::-1]


def _day(connection: Connection, on_day: str, last_at: datetime) -> Day:
    is_of_day, is_of_batch = _BATCH.on_day == on_day, _JUDGED.judgement_id == _BATCH.judgement_id
    invoices = select(_JUDGED.invoice_id, _JUDGED.company_id).where(is_of_day, is_of_batch).distinct().subquery()
    versions = select(schema.rules.c.body).where(schema.rules.c.version == _BATCH.rules, is_of_day).distinct()
    severities: dict[str, str] = {}
    for body in connection.execute(versions).scalars():
        severities |= orjson.loads(body)
    return Day(
        on=date.fromisoformat(on_day),
        last_at=last_at,
        judged=connection.execute(select(func.count()).select_from(invoices)).scalar_one(),
        severities=severities,
        broken=_broken(connection, on_day),
    )


def _broken(connection: Connection, on_day: str) -> dict[Broken, dict[int, str]]:
    same = (_SEEN.invoice_id == _FOUND.invoice_id) & (_SEEN.company_id == _FOUND.company_id)
    query = select(_FOUND.rule, _FOUND.figure, _FOUND.invoice_id, _SEEN.number, _SEEN.vendor).distinct()
    query = query.select_from(schema.finding.join(schema.sighting, same))
    broken: dict[Broken, dict[int, str]] = {}
    for rule, figure, invoice_id, number, vendor in connection.execute(
        query.where(_FOUND.judgement_id == _BATCH.judgement_id, _BATCH.on_day == on_day)
    ).tuples():
        broken.setdefault((rule, figure), {})[invoice_id] = f"{number} · {vendor}" if number else f"{invoice_id}"
    return broken

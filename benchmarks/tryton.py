"""How fast invoices reach a real Tryton, beside a bare script that makes the same batched calls; without set-up."""

import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.figures import figure
from benchmarks.stage import stand_ins
from deployments.tryton import company, server
from deployments.tryton.__main__ import plan_of, settings_of
from deployments.tryton.rpc import Row, Tryton
from tieout import opening
from tieout.cli.console import open_office
from tieout.decisions import review
from tieout.export import chunk
from tieout.intake import reference
from tieout.intake.invoices import fetch_changed
from tieout.judgement import batch
from tieout.judgement.basis import Basis, load_basis
from tieout.ledger.book import Ledger
from tieout.ledger.database import upgrade
from tieout.ledger.references import known_projects

_ACTOR = "bench"
_OURS = [("type", "=", "in"), ("description", "like", "P%")]
_HEADER = ("company", "party", "invoice_address", "account", "currency", "journal", "reference", "description")
_HEADER = (*_HEADER, "invoice_date", "accounting_date", "comment")
_LINE = ("account", "product", "unit", "quantity", "unit_price", "description", "origin", "company", "currency")
_ENTRY = ("root", "account")


def measure(invoices: int, lines: int) -> bool:
    """Export so many invoices, and write the same into a copy of the company without us; return what held.

    The two take turns, call by call: whatever else the machine does slows down both.
    """
    with tempfile.TemporaryDirectory(prefix="tieout-bench-") as name:
        folder = Path(name)
        with stand_ins(folder, 1, invoices, lines), _two_companies(folder) as (url, databases):
            ours, theirs = (_session(url, database) for database in databases)
            exported, bare = _in_turns(ours, theirs)
            there = ours.rows("account.invoice", _OURS, "reference")
    return all(
        [
            figure("invoices in Tryton afterwards", len(there), "invoices", f"== {invoices}"),
            figure("a bare script's batched calls to Tryton", invoices / bare, "invoices/s"),
            figure("export to Tryton", invoices / exported, "invoices/s"),
            figure("export to Tryton, of what the bare script reaches", 100 * bare / exported, "%", ">= 90"),
        ]
    )


@contextmanager
def _two_companies(folder: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    """Serve two copies of the contractor's company, and point our settings at the first."""
    plan, names = plan_of(folder / "sandbox"), ("ours", "theirs")
    books, databases = plan.contractor().books, server.SQLiteFiles(folder / "tryton", server.TEMPLATES)
    with server.alone(server.TEMPLATES):
        server.install()
        empty = server.template(databases.templates, date.fromisoformat(plan.today), lambda words: None)
    server.fill(databases, empty, names[0], books)
    databases.clone(*names)
    with server.serving(databases) as url:
        for name in names:
            server.wake(url, name)
        section = settings_of(url, names[0], books.company_name)
        os.environ |= {f"TIEOUT_TRYTON__{name.upper()}": str(value) for name, value in section.items()}
        os.environ["TIEOUT_COMPANY__ERP"] = "tryton"
        try:
            yield url, names
        finally:
            del os.environ["TIEOUT_COMPANY__ERP"]


def _session(url: str, database: str) -> Tryton:
    return Tryton(url, database, company.INTEGRATION, company.PASSWORD_OF[company.INTEGRATION])


def _in_turns(ours: Tryton, theirs: Tryton) -> tuple[float, float]:
    """Read and accept everything, then export it; return the seconds of the export alone, and of the bare calls."""
    office = open_office()
    upgrade(office.settings.ledger_url)
    with (
        opening.open_ledger(office) as ledger,
        opening.open_procore(office) as procore,
        opening.open_erp(office) as erp,
    ):
        projects = reference.list_projects(ledger, procore, office)
        for project in projects:
            fetch_changed(ledger, procore, project, office)
        reference.read_reference(ledger, erp, office)
        reference.read_books(ledger, procore, projects, office)
        basis = load_basis(ledger, erp, office)
        _accept(ledger, basis)
        exported, bare, last, is_left = 0.0, 0.0, 0, True
        while is_left:
            began = time.monotonic()
            is_left = bool(chunk.export_chunk(ledger, erp, basis, office).invoice_ids)
            exported += time.monotonic() - began
            last, documents = _documents(ours, last)
            began = time.monotonic()
            theirs.create("account.invoice", *documents)
            bare += time.monotonic() - began
    return exported, bare


def _accept(ledger: Ledger, basis: Basis) -> None:
    office = open_office()
    projects = list(known_projects(ledger))
    batch.judge_projects(ledger, basis, projects, office)
    os.environ["TIEOUT_POLICY__AUTO_ACCEPT_PROJECTS"] = json.dumps(projects)
    review.accept_by_policy(ledger, projects, office, basis.policy_version)


def _documents(tryton: Tryton, after: int) -> tuple[int, list[Row]]:
    """Return what was exported after that one, as a call that would create it again, with the last of them."""
    found = tryton.rows("account.invoice", [*_OURS, ("id", ">", after)], *_HEADER)
    of_lines = tryton.rows("account.invoice.line", [("invoice", "in", [row["id"] for row in found])], "invoice", *_LINE)
    origins = [f"account.invoice.line,{row['id']}" for row in of_lines]
    entries: dict[str, list[Row]] = {}
    for row in tryton.rows("analytic.account.entry", [("origin", "in", origins)], "origin", *_ENTRY):
        entries.setdefault(row["origin"], []).append(_only(row, _ENTRY))
    lines: dict[int, list[Row]] = {}
    for row in of_lines:
        coded = entries.get(f"account.invoice.line,{row['id']}", [])
        analytic = {"analytic_accounts": [["create", coded]]} if coded else {}
        lines.setdefault(row["invoice"], []).append(
            {"type": "line", "invoice_type": "in", **_only(row, _LINE), **analytic}
        )
    documents = [{"type": "in", **_only(row, _HEADER), "lines": [["create", lines[row["id"]]]]} for row in found]
    return max((row["id"] for row in found), default=after), documents


def _only(row: Row, names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names if row[name] is not None}

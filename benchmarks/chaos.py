"""Kill the exporter by SIGKILL at random moments, hundreds of times, and count what the ERP holds in the end.

The counting is done in the stand-in's own database, never in our ledger.
"""

import argparse
import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from benchmarks.figures import figure
from benchmarks.stage import stand_ins
from tieout import exporting, intake, opening, outbox, reviewing, sending, settings, settling, terms
from tieout.connectors.base import invoice_key, parse_key
from tieout.ledger import audit, states
from tieout.ledger.book import Ledger, upgrade

# Each round happens that much later, so that leases and deadlines of the one that was killed are over.
_LATER = timedelta(hours=1)


def main() -> None:
    """Run the chaos and exit with status 1 when a bound is broken."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--invoices", type=int, default=600)
    options.add_argument("--kills", type=int, default=500, help="stop killing after so many and let it finish")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="tieout-chaos-") as name:
        folder = Path(name)
        with stand_ins(folder, projects=4, invoices=chosen.invoices, lines=3) as facts:
            os.environ["TIEOUT_EXPORT__CHUNK"] = "5"
            os.environ["TIEOUT_EXPORT__ATTEMPTS"] = "1000"
            kept = _play(facts["spectrum"]["url"], chosen.kills, random.Random(chosen.seed))
    raise SystemExit(0 if kept else 1)


def _play(spectrum: str, most: int, chance: random.Random) -> bool:
    upgrade(settings.ledger_url())
    accepted = _accept_all()
    kills, round_ = 0, 0
    while not _is_done():
        round_ += 1
        if _killed(round_, chance.uniform(0.005, 0.25) if kills < most else None):
            kills += 1
    there = _there(spectrum)
    with opening.open_ledger() as ledger:
        breaks = audit.verify(ledger)
    doubles = sum(count - 1 for count in Counter(key for key, _ in there).values())
    missing = sum(entry not in there for entry in accepted)
    return all(
        [
            figure("kills by SIGKILL while exporting", kills, "kills"),
            figure("accepted invoices", len(accepted), "invoices"),
            figure("invoices in the ERP beyond one per accepted invoice", doubles, "invoices", "== 0"),
            figure("accepted invoices missing in the ERP, or not equal to the cent", missing, "invoices", "== 0"),
            figure("breaks in the audit chain", len(breaks), "breaks", "== 0"),
        ]
    )


def _accept_all() -> list[tuple[str, str]]:
    """Bring everything to ACCEPTED and return (key, gross) of what the ERP must hold."""
    now = opening.now
    with opening.open_ledger() as ledger, opening.open_procore() as procore, opening.open_erp() as erp:
        projects = intake.list_projects(ledger, procore, now)
        for project_id in projects:
            intake.fetch_changed(ledger, procore, project_id, now)
        intake.read_reference(ledger, erp, now)
        intake.read_books(ledger, procore, projects, now)
        os.environ["TIEOUT_POLICY__AUTO_ACCEPT_PROJECTS"] = json.dumps(projects)
        os.environ["TIEOUT_POLICY__AUTO_SEND_STATUSES"] = '["approved","approved_as_noted","pending_owner_approval"]'
        known = terms.load_terms(ledger, erp, now())
        for project_id in known.books:
            sending.judge_project(ledger, known, project_id, now, "chaos")
        reviewing.accept_by_policy(ledger, projects, now, known.policy_version)
        return [
            (invoice_key(item.company_id, item.invoice_id), str(item.gross))
            for item in ledger.items(state=states.ACCEPTED)
        ]


def _killed(round_: int, after: float | None) -> bool:
    """Let a child go on with the work and kill it after so many seconds; False when it ended by itself."""
    child = os.fork()
    if child == 0:
        _work(round_)
        os._exit(0)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _work(round_: int) -> None:
    shift = round_ * _LATER

    def clock() -> datetime:
        return datetime.now(UTC) + shift

    with opening.open_ledger() as ledger, opening.open_procore() as procore, opening.open_erp() as erp:
        settling.release_expired(ledger, erp, clock, "chaos")
        settling.settle_uncertain(ledger, erp, clock, "chaos")
        known = terms.load_terms(ledger, erp, clock())
        while exporting.export_chunk(ledger, erp, known, clock, "chaos").invoice_ids:
            pass
        outbox.deliver(ledger, procore, clock)


def _is_done() -> bool:
    with opening.open_ledger() as ledger:
        return not _left(ledger)


def _left(ledger: Ledger) -> list[Any]:
    return ledger.items(state=(states.ACCEPTED, states.EXPORTING, states.UNCERTAIN))


def _there(spectrum: str) -> list[tuple[str, str]]:
    rows = httpx.get(f"{spectrum}/_sandbox/invoices").json()
    return [(row["Remarks"], row["Invoice_Amount"]) for row in rows if parse_key(row["Remarks"])]


if __name__ == "__main__":
    main()

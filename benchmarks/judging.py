"""How long judging takes with all rules, from stored JSON to stored verdicts, and how much memory; imports apart.

The invoices are read by the real connectors first, and of many there are copies (`copies.py`); neither is counted.
Each measurement is a process of its own.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from benchmarks.copies import multiply
from benchmarks.figures import figure
from benchmarks.stage import stand_ins
from tieout.cli.console import open_office
from tieout.intake import invoices, reference
from tieout.judgement import batch
from tieout.judgement.basis import load_basis
from tieout.judgement.simulation import simulate
from tieout.ledger import schema, states
from tieout.ledger.database import upgrade
from tieout.ledger.references import known_projects
from tieout.opening import open_erp, open_ledger, open_procore

_PROJECTS = 10
_SHAPES = 5_000  # invoices that are read; of more there are copies
_SIMULATED = 1_000  # the largest size at which another policy is tried, too
_EVERY = '["approved","approved_as_noted","pending_owner_approval"]'
_OTHERWISE = {"over_billing": "stop", "invoice_number": "with_commitment"}


def main() -> None:
    """Measure, print, and exit with status 1 when a bound is broken."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 50_000], help="how many invoices")
    options.add_argument("--lines", type=int, default=20)
    options.add_argument("--do", choices=("judge", "simulate"), help="in this process, over the ledger of the settings")
    chosen = options.parse_args()
    if chosen.do:
        print(json.dumps(_judge() if chosen.do == "judge" else _simulate()))
        return
    raise SystemExit(0 if measure(chosen.sizes, chosen.lines) else 1)


def measure(sizes: list[int], lines: int) -> bool:
    """Print what judging costs at each size; return whether bounds are kept."""
    kept, each = [], {}
    for size in sizes:
        judged, simulated = _judge_apart(size, lines)
        each[size] = 1000 * judged["seconds"] / size
        words = f"{size} invoices of {lines} lines"
        bound = f"<= {30 * size / 10_000:g}" if size >= 10_000 else ""  # a small batch is mostly the way to begin
        kept.append(figure(f"judging {words}, from stored JSON to stored verdicts", judged["seconds"], "s", bound))
        kept.append(figure("processor time of that", judged["processor"], "s"))
        kept.append(figure("peak memory of that", judged["peak_mb"], "MB", "<= 1000"))
        if simulated:
            kept.append(figure(f"simulating another policy over {words}", simulated["seconds"], "s"))
    if len(each) > 1:
        kept.append(figure("an invoice at the largest size costs, of one at the smallest",
                           each[max(each)] / each[min(each)], "", "<= 1.2"))  # fmt: skip
    return all(kept)


def _judge_apart(size: int, lines: int) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Make a ledger of so many invoices; return what it took to judge them, and to try another policy on them."""
    shapes = min(size, _SHAPES)
    with tempfile.TemporaryDirectory(prefix="tieout-bench-") as name, stand_ins(Path(name), _PROJECTS, shapes, lines):
        os.environ["TIEOUT_POLICY__AUTO_SEND_STATUSES"] = _EVERY
        _fill(size, shapes)
        judged, simulated = _run("judge"), _run("simulate") if size <= _SIMULATED else None
    if {size} != {each["invoices"] for each in (judged, simulated) if each}:
        raise AssertionError(f"{judged['invoices']} of {size} were judged")
    return judged, simulated


def _fill(size: int, shapes: int) -> None:
    """Bring everything into the ledger."""
    office = open_office()
    if size % shapes:
        raise SystemExit(f"of {size} invoices there cannot be whole copies: more than {shapes} are a multiple of it")
    upgrade(office.settings.ledger_url)
    with open_ledger(office) as ledger, open_erp(office) as erp, open_procore(office) as procore:
        projects = reference.list_projects(ledger, procore, office)
        changed = [invoices.fetch_changed(ledger, procore, project, office).changed for project in projects]
        reference.read_reference(ledger, erp, office)
        reference.read_books(ledger, procore, projects, office)
        if sum(changed) != shapes:
            raise AssertionError(f"{sum(changed)} of {shapes} invoices were read")
        if size > shapes:
            multiply(ledger, load_basis(ledger, erp, office), size // shapes, office.clock())


def _run(what: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.judging", "--do", what]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _judge() -> dict[str, float]:
    office = open_office()
    import great_expectations  # noqa: F401
    import pandas  # noqa: F401

    with open_ledger(office) as ledger, open_erp(office) as erp:
        began = time.perf_counter(), time.process_time()
        basis = load_basis(ledger, erp, office)
        batch.judge_projects(ledger, basis, known_projects(ledger), office)
        cost = _cost(began)
        with ledger.reading() as connection:
            sound = connection.scalar(select(func.count()).where(schema.item.c.state == states.READY))
        return {"invoices": sound or 0, **cost}


def _simulate() -> dict[str, float]:
    office = open_office()
    import great_expectations  # noqa: F401
    import pandas  # noqa: F401

    with open_ledger(office) as ledger, open_erp(office) as erp:
        began = time.perf_counter(), time.process_time()
        basis = load_basis(ledger, erp, office)
        result = simulate(ledger, basis, office.settings.policy_with(_OTHERWISE), office.clock())
        return {"invoices": result.judged, **_cost(began)}


def _cost(began: tuple[float, float]) -> dict[str, float]:
    seconds, processor = time.perf_counter() - began[0], time.process_time() - began[1]
    return {"seconds": seconds, "processor": processor, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()

"""`tieout demo`: a contractor's night on stand-ins, from Procore to the ERP and back, to be looked at in Prefect."""

import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from data_contracts.forms import ALL
from data_contracts.invoice import Invoice
from tieout.cli.console import bar, notes, open_office, out, print_json, table
from tieout.cli.demo import proof
from tieout.cli.demo.cast import Cast, Site
from tieout.cli.demo.processes import EndedError
from tieout.cli.demo.stage import APPROVER, Stage, raised
from tieout.cli.status import facts_of, in_tables
from tieout.connectors.procore import parse_invoice
from tieout.decisions.review import Row, open_offer, waiting_projects
from tieout.judgement.basis import load_basis
from tieout.ledger import sightings, states
from tieout.ledger.book import Ledger
from tieout.ledger.items import Item
from tieout.opening import open_erp, open_ledger
from tieout.views.standing import FAILED_TO_EXPORT
from tieout.wording import run_name

_RUN_SECONDS = 150.0
_DISPUTED = "The change order behind it is still disputed."
_GOOD_ENDS = ("Completed", "Decided", "Finished with Failures")
Facts = dict[str, Any]


def demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself; exit status 1 if something is off.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
    projects: Annotated[int, typer.Option(min=2, help="Projects of the contractor.")] = 4,
    invoices: Annotated[int, typer.Option(min=1, help="Invoices over all projects.")] = 60,
    erp: Annotated[str, typer.Option(help="spectrum, a stand-in; or tryton, a real one.")] = "spectrum",
    data: Annotated[Path, typer.Option(help="Folder of everything that the demo keeps.")] = Path(".tieout/demo"),
    keep: Annotated[bool, typer.Option("--keep", help="Go on with that folder instead of emptying it.")] = False,
) -> None:
    """Run a night on stand-ins for Procore and the ERP, with its own Prefect server and worker.

    Everything that it starts ends with it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # a script's background job would ignore SIGINT
        signal.signal(number, _interrupt)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # `nohup` asked for that
        signal.signal(signal.SIGHUP, _interrupt)
    is_over = False
    try:
        with _Progress() as say, raised(data, erp, (projects, invoices), keep, say, _policy) as stage:
            facts = _play(stage, say)
            say("")
            print_json(facts) if json else _print(facts, erp.capitalize())
            is_over = True
            if not once:
                _print_links(facts["links"], notes() if json else out())
                _stay(stage)
    except KeyboardInterrupt:
        notes().print("Everything that was started is gone.")
        raise typer.Exit(0 if is_over else 130) from None
    except (EndedError, TimeoutError, httpx.HTTPError, RuntimeError) as error:
        notes().print(f"The demo did not finish: {error}", style="red", markup=False)
        raise typer.Exit(1) from None
    raise typer.Exit(1 if facts["problems"] else 0)


class _Progress:
    """Tells on standard error what is going on and for how long."""

    def __init__(self) -> None:
        self._console, self._began = notes(), time.monotonic()
        self._shown = ExitStack()

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self("")

    def __call__(self, words: str) -> None:
        """Begin something; empty words end what was begun."""
        self._shown.close()
        if words:
            self._console.print(f"{time.monotonic() - self._began:5.1f} s  {words}", markup=False)
            self._shown.enter_context(bar("       "))


def _policy(stage: Stage) -> Facts:
    """Accept half of the projects by policy; the others are for people."""
    people = Cast(stage.procore, stage.accounting)
    try:
        accepted = _by_policy(people.sites())
    finally:
        people.close()
    return {"auto_accept_projects": [site.project_id for site in accepted]}


def _by_policy(sites: list[Site]) -> list[Site]:
    return sites[: min(2, len(sites) - 1)]


def _play(stage: Stage, say: _Progress) -> Facts:
    """Tell the story and return what came of it."""
    began, screen = time.monotonic(), stage.screen
    people = Cast(stage.procore, stage.accounting)
    try:
        say("A night: nightly-sync reads, checks, accepts two projects by policy, exports")
        night = screen.start("nightly-sync")
        runs = {"nightly-sync": screen.await_end(night, _RUN_SECONDS)}
        say("Accounting posts the batch and cuts checks: over several invoices, over a part, and one that it voids")
        checks = _post_and_pay(people)
        say("Bringing payments back: sync-payments")
        payments = screen.start("sync-payments", asked_by=APPROVER)
        office = open_office()
        with open_ledger(office) as ledger:
            if review := _answer_one(stage, people, ledger, say):
                runs["review-invoices"] = screen.await_end(review, _RUN_SECONDS)
            runs["sync-payments"] = screen.await_end(payments, _RUN_SECONDS)
            screen.await_suspended("review-invoices", len(waiting_projects(ledger)), _RUN_SECONDS)
            say("Comparing the ledger, the ERP's database, Procore's payments and what Prefect shows")
            problems = proof.find_problems(ledger, people, screen)
            facts = facts_of(ledger, office) | _outside(people, checks) | {"links": _links(stage, ledger, night)}
    finally:
        people.close()
    if not facts["links"]["reviews"]:
        problems.append("no review waits for the reader")
    ended = {name: run["state"]["name"] for name, run in runs.items()}
    problems += [f"{name} ended {state}" for name, state in ended.items() if state not in _GOOD_ENDS]
    return facts | {"runs": ended, "seconds": round(time.monotonic() - began, 1), "problems": problems}


def _post_and_pay(people: Cast) -> list[Facts]:
    for batch in {row["Batch_Code"].strip() for row in people.erp_invoices() if row["state"] == "unposted"}:
        people.post(batch)
    return people.pay_some()


def _answer_one(stage: Stage, people: Cast, ledger: Ledger, say: _Progress) -> str | None:
    """Answer the shortest review, if another one is left for the reader: one invoice is rejected, one fails."""
    waiting = waiting_projects(ledger)
    if len(waiting) < 2:
        return None
    project = min(waiting, key=lambda each: len(waiting[each]))
    name = waiting[project][0].project
    say(f"Waiting for the review of {name} to open")
    run_id = stage.screen.await_review(project, _RUN_SECONDS)
    rows = open_offer(ledger, run_id).rows
    say(f"{APPROVER} accepts {name} but for one invoice; the vendor of another was set inactive in the ERP before")
    _spoil(people, ledger, waiting, rows)
    reject = f"{rows[-1].number}: {_DISPUTED}" if len(rows) > 1 else ""
    stage.screen.answer(run_id, {"decided_by": APPROVER, "accept": ALL.value, "reject": reject})
    return run_id


def _spoil(people: Cast, ledger: Ledger, waiting: dict[int, list[Item]], rows: tuple[Row, ...]) -> None:
    """Set a vendor inactive whose invoice is accepted next: the export refuses it, which the reader may mend."""
    items = {item.invoice_id: item for items in waiting.values() for item in items}
    for row in rows[:-1]:
        if [item.vendor for item in items.values()].count(row.vendor) == 1:
            people.stop_using(_vendor_code(ledger, items[row.invoice_id]))
            return


def _vendor_code(ledger: Ledger, item: Item) -> str:
    office = open_office()
    with open_erp(office) as erp:
        basis = load_basis(ledger, erp, office)
    with ledger.reading() as connection:
        basis = basis.with_books(connection, [item.project_id])
        invoice = parse_invoice(sightings.bodies(connection, [item.snapshot_id])[item.snapshot_id], item.company_id)
    if not isinstance(invoice, Invoice):
        return ""
    mapping = basis.mapping(item.project_id, office.clock().astimezone(basis.zone).date())
    return mapping.vendor(invoice.vendor_id_procore) or ""


def _outside(people: Cast, checks: list[Facts]) -> Facts:
    """Return what the two stand-ins' databases hold."""
    erp, procore = people.erp_state(), people.procore_state()
    return {
        "erp": {
            "unposted": erp["invoices"]["unposted"],
            "posted": erp["invoices"]["posted"],
            "batches": erp["batches"],
            "ours": len(people.erp_invoices()),
            "checks": checks,
        },
        "procore": {
            "locked": procore["locked"],
            "confirmed": procore["with_origin_data"],
            "payments_issued": procore["contract_payments"],
            "payments_issued_sum": procore["contract_payments_sum"],
        },
    }


def _links(stage: Stage, ledger: Ledger, night: str) -> Facts:
    screen = stage.screen
    failed = screen.runs("export-invoice", state={"name": {"any_": [FAILED_TO_EXPORT]}})
    return {
        "prefect": screen.url,
        "night": screen.link(night),
        "failed_to_export": screen.link_state(FAILED_TO_EXPORT),
        "held": screen.link_state("Held"),
        "items": {run["name"]: screen.link(run["id"]) for run in failed},
        "reviews": {run["name"]: screen.link(run["id"]) for run in screen.suspended("review-invoices")},
        "mend": _mending(stage, ledger),
        "environment": str(stage.folder / "env"),
    }


def _mending(stage: Stage, ledger: Ledger) -> dict[str, str]:
    """Say for each failure that the ERP's people can mend how to do that in the stand-in."""
    failed = ledger.items(state=states.FAILED, cause="vendor-inactive")
    url = f"{stage.accounting}/_sandbox/vendors"
    return {
        run_name(item): f"""curl {url} -d '{{"code": "{_vendor_code(ledger, item)}", "status": "A"}}'"""
        for item in failed
    }


def _print(facts: Facts, system: str) -> None:
    console, erp, procore = out(), facts["erp"], facts["procore"]
    console.print(in_tables(facts))
    rows = [
        (state, erp[state]["count"], erp[state]["amount"], erp[state]["retention"]) for state in ("unposted", "posted")
    ]
    console.print(table(f"{system}'s own database", ("invoices", "count>", "amount>", "retention>"), rows))
    checks = [(each["check_number"], each["what"], each["amount"]) for each in erp["checks"]]
    console.print(table("Checks that accounting cut", ("check", "what it does", "amount>"), checks))
    told = [
        ("invoices locked", procore["locked"]),
        ("invoices with the ERP's document", procore["confirmed"]),
        ("rows in Payments Issued, reversals included", procore["payments_issued"]),
        ("sum of Payments Issued", procore["payments_issued_sum"]),
    ]
    console.print(table("Procore's own database", ("what", "count or sum>"), told))
    if facts["problems"]:
        console.print("[bold red]The books do not agree:[/]")
        for problem in facts["problems"]:
            console.print(f"  {problem}", markup=False)
    else:
        ours = erp["ours"]
        console.print(f"The ERP holds exactly the {ours} exported invoices, to the cent; payments and Prefect agree.\n")


def _print_links(links: Facts, console: Console) -> None:
    places = [("Prefect", links["prefect"]), ("the night", links["night"])]
    places += [(FAILED_TO_EXPORT, links["failed_to_export"]), *links["items"].items(), ("Held", links["held"])]
    places += links["reviews"].items()
    console.print("[bold]Where to click[/]")
    for name, place in places:
        console.print(f"  {name}\n    {place}", markup=False, soft_wrap=True)
    for name, command in links["mend"].items():
        console.print(f"\nFix the cause of {name} in the ERP, then press Retry on it:", markup=False)
        console.print(f"  {command}", markup=False, soft_wrap=True)
    console.print("\nTo answer the review, open it, press Resume, fill in the form.")
    console.print(f"To use the command on this data: . {links['environment']}; .venv/bin/tieout status", soft_wrap=True)


def _stay(stage: Stage) -> None:
    notes().print("\nThe demo stays up until Ctrl-C.")
    sys.stdout.flush()
    while True:
        stage.processes.check()
        time.sleep(1)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt

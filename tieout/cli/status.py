"""`tieout status`: what rings, how the invoices stand, and what is owed to Procore."""

from typing import Annotated, Any

import typer
from rich.console import Group

from tieout.cli.console import open_office, out, plain, print_json, readable_ledger, table
from tieout.decisions import review
from tieout.ledger.book import Ledger
from tieout.office import Office
from tieout.outbox.letters import undelivered
from tieout.payments import issued
from tieout.views import inquiry
from tieout.watch import alarms


def status(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the alarms, counts by state, causes, batches, payments, and what Procore does not show yet."""
    office = open_office()
    with readable_ledger(office) as ledger:
        facts = facts_of(ledger, office)
    if json:
        print_json(facts)
    else:
        out().print(in_tables(facts))


def facts_of(ledger: Ledger, office: Office) -> dict[str, Any]:
    """Return what the command shows, as plain values."""
    summary = inquiry.summary(ledger)
    causes = {state: {cause: len(items) for cause, items in by_cause.items()}
              for state, by_cause in inquiry.stopped(ledger).items() if by_cause}  # fmt: skip
    waiting = {items[0].project: len(items) for items in review.waiting_projects(ledger).values()}
    return {
        "alarms": [each.model_dump(mode="json") for each in alarms.ringing(ledger, office)],
        "worth_knowing": alarms.vanished(ledger, office),
        "states": summary["states"],
        "causes": causes,
        "ready_to_export_by_project": waiting,
        "in_erp": summary["in the ERP"],
        "unposted_batches": summary["batches"],
        "payments": {"in_procore": summary["payments in Procore"], "not_yet_in_procore": issued.open_payments(ledger)},
        "write_backs_undelivered": [{"invoice": number, "problem": problem} for number, problem in undelivered(ledger)],
    }


def in_tables(facts: dict[str, Any]) -> Group:
    """Lay the facts out for a terminal."""
    payments = facts["payments"]
    parts: list[Any] = []
    if facts["alarms"]:
        alarmed = [(each["message"], each["remedy"]) for each in facts["alarms"]]
        parts.append(table("Alarms", ("what is wrong", "what to do"), alarmed))
    parts += [plain(words) for words in facts["worth_knowing"]]
    parts.append(table("Invoices", ("state", "count>"), facts["states"].items()))
    if facts["causes"]:
        rows = [(state, cause, count) for state, causes in facts["causes"].items() for cause, count in causes.items()]
        parts.append(table("Stopped", ("state", "cause", "count>"), rows))
    if facts["ready_to_export_by_project"]:
        parts.append(table("Ready to Export", ("project", "invoices>"), facts["ready_to_export_by_project"].items()))
    if facts["unposted_batches"]:
        parts.append(table("Unposted in the ERP", ("batch", "invoices>"), facts["unposted_batches"].items()))
    parts.append(f"Payments: {payments['in_procore']} in Procore, {payments['not_yet_in_procore']} to be written.")
    if facts["write_backs_undelivered"]:
        letters = [(each["invoice"], each["problem"]) for each in facts["write_backs_undelivered"]]
        parts.append(table("Procore refused a write-back", ("invoice", "why"), letters))
    return Group(*parts)

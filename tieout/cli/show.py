"""`tieout show INVOICE`: all that is known of one invoice, from its G703 lines to its payments."""

import json as jsons
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from data_contracts.fetched import UnreadableInvoice
from data_contracts.money import in_words
from tieout import opening
from tieout.cli.console import DOT, STYLES, light, notes, open_office, out, plain, print_json, readable_ledger, table
from tieout.errors import SettingsError
from tieout.export.drift import open_drift
from tieout.ledger import sightings, states
from tieout.ledger.book import Ledger
from tieout.ledger.items import Item
from tieout.office import Office
from tieout.views import inquiry
from tieout.views.derivation import Derivation, Tie, sheets


def show(
    invoice: Annotated[str, typer.Argument(help="Invoice number, or the invoice's id in Procore.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show one invoice: state, reasons and remedies, arithmetic, payments, and everything that happened to it.

    Exit status 1: not in the ledger. 2: several have that number; the command lists them.
    """
    office = open_office()
    with readable_ledger(office) as ledger:
        found = _candidates(ledger, invoice)
        if len(found) == 1:
            [derived] = inquiry.derivations(ledger, found).values()
            facts = facts_of(ledger, office, found[0], derived)
            if json:
                print_json(facts)
            else:
                out().print(_in_tables(facts, derived))
            return
        _explain_none(ledger, invoice) if not found else _list_candidates(found, json)
    raise typer.Exit(2 if found else 1)


def facts_of(ledger: Ledger, office: Office, item: Item, derived: Derivation | UnreadableInvoice) -> dict[str, Any]:
    """Return what the command shows, as plain values; amounts as text."""
    return {
        "invoice": item.number,
        "invoice_id_procore": item.invoice_id,
        "project": item.project,
        "vendor": item.vendor,
        "state": item.state,
        "icon": inquiry.colour(item.state),
        "revision": item.revision,
        "gross": in_words(item.gross, item.currency),
        "held": in_words(item.held, item.currency),
        "due_now": in_words(item.net, item.currency),
        "in_erp": _place(office, item),
        "findings": [finding.model_dump(mode="json") for finding in (*item.reasons, *open_drift(item))],
        "arithmetic": _arithmetic(derived),
        "payments": inquiry.payments(ledger, item),
        "timeline": [asdict(each) for each in inquiry.timeline(ledger, item)],
    }


def _candidates(ledger: Ledger, wanted: str) -> list[Item]:
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 19:
        by_id = ledger.items(invoice_id=int(wanted))
        if by_id:
            return by_id
    return ledger.items(number=wanted) or ledger.items(number_erp=wanted)


def _explain_none(ledger: Ledger, wanted: str) -> None:
    words = f"No invoice {wanted!r} was ever sent."
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 19:
        with ledger.reading() as connection:
            seen = sightings.sightings_of(connection, [int(wanted)]).get(int(wanted))
        if seen is not None:
            words = f"Invoice {wanted} was never sent; its status in Procore is {seen.status}."
    notes().print(words, style="red", markup=False)


def _list_candidates(found: Sequence[Item], json: bool) -> None:
    rows = [(item.invoice_id, item.vendor, item.project, item.state) for item in found]
    if json:
        names = ("invoice_id_procore", "vendor", "project", "state")
        print_json({"candidates": [dict(zip(names, row, strict=True)) for row in rows]})
    else:
        title = f"{len(found)} invoices have this number; name one by its Procore id"
        out().print(table(title, ("Procore id", "vendor", "project", "state"), rows))


def _arithmetic(derived: Derivation | UnreadableInvoice) -> dict[str, Any]:
    if isinstance(derived, UnreadableInvoice):
        return {"unreadable": list(derived.reasons)}
    return {
        "header": {each.name: {"amount": str(each.amount), "source": each.source} for each in derived.header},
        "lines": [
            {
                "line": line.label,
                "line_id_procore": line.line_id_procore,
                **{name: str(each.amount) for name, each in line.figures.items()},
                "sources": {name: each.source for name, each in line.figures.items()},
            }
            for line in derived.lines
        ],
        "ties": [_tie(each) for each in derived.ties],
        "ties_of_lines": [_tie(each) for line in derived.lines for each in line.ties],
    }


def _tie(tie: Tie) -> dict[str, Any]:
    return {"equation": tie.equation, "computed": str(tie.computed), "stated": str(tie.stated), "holds": tie.holds}


def _place(office: Office, item: Item) -> dict[str, str] | None:
    """Say where accounting finds it (R35); the menu path is left out where the ERP is not set up on this machine."""
    if item.state not in states.IN_ERP and item.state != states.GONE:
        return None
    place = {"document": item.document_id_erp or "", "batch": item.batch_code or ""}
    try:
        with opening.open_erp(office) as erp:
            return place | {"menu_path": erp.capabilities.menu_path}
    except SettingsError:
        return place


def _in_tables(facts: dict[str, Any], derived: Derivation | UnreadableInvoice) -> Group:
    parts: list[Any] = [_heading(facts)]
    for finding in facts["findings"]:
        parts.append(plain(f"\n{finding['severity'].capitalize()} ({finding['rule']}): {finding['message']}"))
        parts.append(plain(f"  What to do: {finding['remedy']} Who should act: {finding['owner']}."))
    parts += ["", *_proof(derived)]
    if facts["payments"]:
        rows = [
            (light(each["icon"], each["check"]), each["paid_on"], each["amount"], each["discount"], each["problem"])
            for each in facts["payments"]
        ]
        parts += [table("Payments", ("check", "on", "amount>", "discount>", "problem"), rows)]
    rows_of_events = [
        (f"{each['at']:%Y-%m-%d %H:%M:%S}", each["kind"], each["after"], each["actor"], _because(each["facts"]))
        for each in facts["timeline"]
    ]
    parts += [table("What happened (UTC)", ("when", "what", "state", "by", "because"), rows_of_events)]
    return Group(*parts)


def _heading(facts: dict[str, Any]) -> Text:
    name = " · ".join(facts[each] for each in ("invoice", "vendor", "gross", "project") if facts[each])
    words = f"\n{facts['gross']} earned, {facts['held']} held, {facts['due_now']} due now."
    words += f" Procore id {facts['invoice_id_procore']}, revision {facts['revision']}."
    if place := facts["in_erp"]:
        words += f"\nIn the ERP: document {place['document']}, batch {place['batch']}"
        words += f", under {place['menu_path']}." if "menu_path" in place else "."
    icon = (DOT, STYLES[facts["icon"]])
    return Text.assemble((plain(name).plain, "bold"), "\n", icon, f" {facts['state']}", plain(words))


def _proof(derived: Derivation | UnreadableInvoice) -> list[Any]:
    if isinstance(derived, Derivation):
        return [table(sheet.title, sheet.headings, sheet.rows) for sheet in sheets(derived)]
    return [plain("Procore's invoice cannot be read: " + "; ".join(derived.reasons))]


def _because(facts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {each if isinstance(each, str) else jsons.dumps(each)}" for name, each in facts.items())

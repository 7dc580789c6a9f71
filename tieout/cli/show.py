"""`tieout show INVOICE`: all that is known of one invoice, from its G703 lines to its payments."""

import json as jsons
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from data_contracts.invoice import Invoice
from data_contracts.money import in_words
from tieout import billing, opening, reporting
from tieout.cli.console import DOT, STYLES, light, notes, out, plain, print_json, readable_ledger, table
from tieout.connectors.procore import parse_invoice
from tieout.drift import open_drift
from tieout.errors import SettingsError
from tieout.ledger import records, states
from tieout.ledger.book import Item, Ledger

_FIGURES = ("scheduled_value", "work_before", "work_this_period", "stored_before", "stored_now", "moved",
            "completed_to_date", "held", "exported")  # fmt: skip
_HEADINGS = ("line", "C scheduled>", "D before>", "E period>", "F before>", "F stored>", "moved>", "G to date>",
             "held>", "to the ERP>")  # fmt: skip


def show(
    invoice: Annotated[str, typer.Argument(help="Invoice number, or the invoice's id in Procore.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show one invoice: state, reasons and remedies, arithmetic, payments, and everything that happened to it.

    Exit status 1: not in the ledger. 2: several bear that number; they are listed.
    """
    with readable_ledger() as ledger:
        found = _candidates(ledger, invoice)
        if len(found) == 1:
            facts = facts_of(ledger, found[0])
            if json:
                print_json(facts)
            else:
                out().print(_in_tables(facts))
            return
        _explain_none(ledger, invoice) if not found else _list_candidates(found, json)
    raise typer.Exit(2 if found else 1)


def facts_of(ledger: Ledger, item: Item) -> dict[str, Any]:
    """Return what the command shows, as plain values; amounts as text."""
    read = _read(ledger, item)
    return {
        "invoice": item.number,
        "invoice_id_procore": item.invoice_id,
        "project": item.project,
        "vendor": item.vendor,
        "state": item.state,
        "icon": reporting.colour(item.state),
        "revision": item.revision,
        "gross": in_words(item.gross, item.currency),
        "held": in_words(item.held, item.currency),
        "due_now": in_words(item.net, item.currency),
        "in_erp": _place(item),
        "findings": [finding.model_dump(mode="json") for finding in (*item.reasons, *open_drift(item))],
        "arithmetic": _arithmetic(read) if isinstance(read, Invoice) else {"unreadable": read},
        "payments": reporting.payments(ledger, item),
        "timeline": [asdict(each) for each in reporting.timeline(ledger, item)],
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
            seen = records.sightings_of(connection, [int(wanted)]).get(int(wanted))
        if seen is not None:
            words = f"Invoice {wanted} was never sent; its status in Procore is {seen.status}."
    notes().print(words, style="red", markup=False)


def _list_candidates(found: Sequence[Item], json: bool) -> None:
    rows = [(item.invoice_id, item.vendor, item.project, item.state) for item in found]
    if json:
        names = ("invoice_id_procore", "vendor", "project", "state")
        print_json({"candidates": [dict(zip(names, row, strict=True)) for row in rows]})
    else:
        title = f"{len(found)} invoices bear this number; name one by its Procore id"
        out().print(table(title, ("Procore id", "vendor", "project", "state"), rows))


def _read(ledger: Ledger, item: Item) -> Invoice | list[str]:
    """Return the invoice as it was judged, completed by the one before it, or why it cannot be read."""
    with ledger.reading() as connection:
        invoice = _parsed(records.bodies(connection, [item.snapshot_id]), item.snapshot_id, item.company_id)
        earlier = invoice.previous_invoice_id_procore if isinstance(invoice, Invoice) else None
        seen = records.sightings_of(connection, [earlier]).get(earlier) if earlier else None
        snapshot_id = seen.snapshot_id if seen else None
        before = None
        if snapshot_id is not None:
            before = _parsed(records.bodies(connection, [snapshot_id]), snapshot_id, item.company_id)
    if not isinstance(invoice, Invoice):
        return invoice
    return billing.complete(invoice, before if isinstance(before, Invoice) else None)


def _parsed(bodies: dict[int, str], snapshot_id: int, company_id: int) -> Invoice | list[str]:
    return parse_invoice(bodies[snapshot_id], company_id)


def _arithmetic(invoice: Invoice) -> dict[str, Any]:
    lines = [
        {"line": proof.description, **{name: str(getattr(proof, name)) for name in _FIGURES}}
        for proof in billing.derivation(invoice)
    ]
    ties = [
        {"equation": tie.equation, "computed": str(tie.computed), "stated": str(tie.stated), "holds": tie.holds}
        for tie in billing.ties(invoice)
    ]
    return {"lines": lines, "ties": ties}


def _place(item: Item) -> dict[str, str] | None:
    """Say where accounting finds it (R35); the menu path is left out where the ERP is not set up on this machine."""
    if item.state not in states.IN_ERP and item.state != states.GONE:
        return None
    place = {"document": item.document_id_erp or "", "batch": item.batch_code or ""}
    try:
        with opening.open_erp() as erp:
            return place | {"menu_path": erp.capabilities.menu_path}
    except SettingsError:
        return place


def _in_tables(facts: dict[str, Any]) -> Group:
    parts: list[Any] = [_heading(facts)]
    for finding in facts["findings"]:
        parts.append(plain(f"\n{finding['severity'].capitalize()} ({finding['rule']}): {finding['message']}"))
        parts.append(plain(f"  What to do: {finding['remedy']} Whose move: {finding['owner']}."))
    parts += ["", *_arithmetic_tables(facts["arithmetic"])]
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


def _arithmetic_tables(arithmetic: dict[str, Any]) -> list[Any]:
    if "unreadable" in arithmetic:
        return [plain("Procore's invoice cannot be read: " + "; ".join(arithmetic["unreadable"]))]
    rows = [(each["line"], *(_grouped(each[name]) for name in _FIGURES)) for each in arithmetic["lines"]]
    ties = [
        (
            each["equation"],
            _grouped(each["computed"]),
            _grouped(each["stated"]),
            "" if each["holds"] else "DOES NOT TIE",
        )
        for each in arithmetic["ties"]
    ]
    formula = "G703: to the ERP = E period + (F stored - F before) + moved"
    return [table(formula, _HEADINGS, rows), table("G702", ("equation", "computed>", "stated>", ""), ties)]


def _grouped(amount: str) -> str:
    return f"{Decimal(amount):,}"


def _because(facts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {each if isinstance(each, str) else jsons.dumps(each)}" for name, each in facts.items())

"""All that is known of one invoice, as the Markdown page on the Artifacts tab of its run."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from data_contracts.fetched import UnreadableInvoice
from data_contracts.money import in_words
from data_contracts.reference import Finding
from tieout.connectors.base import ERP
from tieout.export import preview
from tieout.export.drift import open_drift
from tieout.export.preview import Payload
from tieout.ledger.book import Ledger
from tieout.ledger.items import Item
from tieout.office import Office
from tieout.views import inquiry
from tieout.views.derivation import Derivation, sheets
from tieout.views.standing import SETTLED, badge_of
from tieout.wording import NOWHERE, Places, cell, run_name


@dataclass(frozen=True, slots=True)
class Story:
    """What is told of an item beside its own figures and reasons."""

    timeline: Sequence[tuple[str, str, str]] = ()  # when, what, by whom
    unfinished: Sequence[str] = ()  # steps that did not finish just now
    payload: Payload | None = None
    derived: Derivation | UnreadableInvoice | None = None  # how its figures came about


NO_STORY: Final = Story()


def stories(
    ledger: Ledger, erp: ERP, items: Sequence[Item], office: Office, also_settled: bool = False
) -> dict[int, Story]:
    """Return the story of each item, by item id.

    Its payload is in it where somebody must act on the item, or with `also_settled`: to make one costs a look.
    """
    shown = [item for item in items if also_settled or badge_of(item)]
    payloads, happened = preview.payloads(ledger, erp, shown, office), inquiry.timelines(ledger, items)
    derived = inquiry.derivations(ledger, items)
    return {
        item.item_id: Story(happened[item.item_id], payload=payloads.get(item.item_id), derived=derived[item.item_id])
        for item in items
    }


def explanation(item: Item, story: Story = NO_STORY, places: Places = NOWHERE) -> str:
    """Return all that is known of an item as Markdown: reasons, numbers, remedies, payload, and what happened when."""
    figures = (("gross", item.gross), ("retention held", item.held), ("due now", item.net))
    shown = badge_of(item) or SETTLED[item.state]
    lines = [f"# {cell(run_name(item))}", "", f"**{shown}**, revision {item.revision}.", ""]
    lines += [line for step in story.unfinished for line in (f"**Not finished:** {cell(step)}", "")]
    lines += ["| figure | amount |", "|---|---:|"]
    lines += [f"| {name} | {in_words(amount, item.currency)} |" for name, amount in figures]
    lines += ["", *(f"- in {cell(system)}: {_link(cell(place))}" for system, place in places.of(item))]
    for difference in open_drift(item):
        lines += ["", *_in_full(difference, "Drifted:")]
    for reason in item.reasons:
        lines += ["", *_in_full(reason, "Warning:" if reason.severity == "warn" else "Stopped by")]
    lines += _payload(item, story.payload) if story.payload else []
    lines += _proof(story.derived) if isinstance(story.derived, Derivation) else []
    rows = [f"| {cell(at)} | {cell(what)} | {cell(actor)} |" for at, what, actor in story.timeline]
    if rows:
        lines += ["", "## What happened", "", "| when (UTC) | what | by |", "|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def _in_full(reason: Finding, head: str) -> list[str]:
    line = f" (line {reason.line_id_procore})" if reason.line_id_procore else ""
    lines = [f"## {head} {cell(reason.rule)}{line}", "", cell(reason.message)]
    lines += ["", f"**What to do:** {cell(reason.remedy)}"] if reason.remedy else []
    lines += ["", f"**Who should act:** {cell(reason.owner)}"] if reason.owner else []
    if reason.numbers:
        lines += ["", "| figure | value |", "|---|---:|"]
        lines += [f"| {cell(name.replace('_', ' '))} | {cell(value)} |" for name, value in reason.numbers.items()]
    return lines


def _link(place: str) -> str:
    # The address itself is longer than the page is wide, which cuts off what does not fit.
    return f"[open the invoice]({place})" if place.startswith(("http://", "https://")) else place


def _payload(item: Item, payload: Payload) -> list[str]:
    system = cell(item.erp.capitalize())
    head = f"## What was sent to {system}" if payload.is_frozen else f"## What would be sent to {system} now"
    if payload.body is None:
        return ["", head, "", f"Nothing yet: {cell(payload.missing)}"]
    return ["", head, "", "```json", json.dumps(payload.body, indent=2, ensure_ascii=False, default=str), "```"]


def _proof(derived: Derivation) -> list[str]:
    lines = ["", "## The arithmetic"]
    for sheet in sheets(derived):
        rule = "".join("---:|" if heading.endswith(">") else "---|" for heading in sheet.headings)
        lines += ["", f"**{sheet.title}**", "", _row(heading.rstrip(">") for heading in sheet.headings), f"|{rule}"]
        lines += [_row(row) for row in sheet.rows]
    return lines


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(cell, cells))} |"

"""Dry runs: what a flow would do, as artifacts of its run; nothing is written to Procore, the ERP or the ledger.

What is decided by a person is rehearsed: the very code of the real run, undone at its end.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks import _screen
from tasks._run import actor, run_id
from tieout import paying, previewing, publishing, rejecting, repairing, reprocessing, retrieving, sending
from tieout.choosing import choose
from tieout.connectors.base import ERP
from tieout.errors import RefusedError
from tieout.ledger.book import Ledger
from tieout.opening import now, open_erp, open_ledger
from tieout.previewing import Forecast
from tieout.rights import Signature
from tieout.sending import Answer
from tieout.terms import load_terms

_Act = Callable[[Ledger, ERP, list[int] | None], Sequence[Answer]]
_SHOWN = 100  # payloads in one artifact


def exports(flow: str) -> State[Any]:
    """Show what would be exported: amounts, batch, accounting date, payload, and whether the ERP has it already."""
    with open_ledger() as ledger, open_erp() as erp:
        terms = previewing.read_terms(ledger, erp, now)
        forecasts = previewing.foresee(ledger, erp, terms, previewing.due(ledger, terms), now())
    sent = [each.item for each in forecasts if each.presence == "new"]
    words = f"Would be sent: {publishing.in_sum(sent)}, of {len(forecasts)} that are due."
    return _previewed(flow, previewing.as_rows(forecasts), words, forecasts)


def retry(chosen: list[int]) -> State[Any]:
    """List what would be tried again, with amounts and causes, and what would come of it."""
    with open_ledger() as ledger, open_erp() as erp:
        causes = publishing.by_cause(ledger.items(invoice_id=chosen))
        found = [item for group in causes.values() for item in group]
        terms = previewing.read_terms(ledger, erp, now)
        forecasts = previewing.foresee(ledger, erp, terms, found, now())
    told = "; ".join(f"{cause}: {publishing.in_sum(group)}" for cause, group in causes.items())
    pairs = zip(publishing.as_table(found), previewing.as_rows(forecasts), strict=True)
    words = f"Would be tried again: {publishing.in_sum(found)}. {told}".strip()
    return _previewed("retry-exports", [cause | foreseen for cause, foreseen in pairs], words, forecasts)


def payments() -> State[Any]:
    """List what would be written to Payments Issued."""
    with open_ledger() as ledger, open_erp() as erp:
        owed = paying.foresee(ledger, erp, now, actor())
    rows = [
        {
            "invoice": each.invoice_number,
            "check": each.check_number,
            "paid on": each.paid_on.isoformat(),
            "amount": f"{each.amount:,}",
            "method": each.method or "",
            "origin id": each.origin_id,
        }
        for each in owed
    ]
    return _previewed("sync-payments", rows, f"Would be written to Payments Issued: {len(rows)} payments.")


def send(project: int, names: list[str], sent_by: str) -> State[Any]:
    """Say of each invoice whether it would be Ready to Export, be stopped, or not be sent."""

    def act(ledger: Ledger, erp: ERP, wanted: list[int] | None) -> Sequence[Answer]:
        return sending.send(ledger, load_terms(ledger, erp, now()), project, wanted, Signature(sent_by), now)

    return _decided("send-invoices", project, names, act)


def reprocess(project: int, names: list[str], requested_by: str) -> State[Any]:
    """Say of each invoice what judging it again would come to."""

    def act(ledger: Ledger, erp: ERP, wanted: list[int] | None) -> Sequence[Answer]:
        by, terms = Signature(requested_by), load_terms(ledger, erp, now())
        return reprocessing.reprocess(ledger, terms, project, wanted or [], by, now)

    return _decided("reprocess-invoices", project, names, act)


def retrieve(project: int, names: list[str], retrieved_by: str) -> State[Any]:
    """Say of each invoice whether it would be taken back."""

    def act(ledger: Ledger, _: ERP, wanted: list[int] | None) -> Sequence[Answer]:
        return retrieving.retrieve(ledger, project, wanted, Signature(retrieved_by), run_id(), now)

    return _decided("retrieve-invoices", project, names, act)


def reject(project: int, names: list[str], rejected_by: str, reason: str) -> State[Any]:
    """Say of each invoice whether it would be rejected."""

    def act(ledger: Ledger, erp: ERP, wanted: list[int] | None) -> Sequence[Answer]:
        by = Signature(rejected_by)
        return rejecting.reject(ledger, erp, project, wanted, by, reason, run_id(), now).answers

    return _decided("reject-invoices", project, names, act)


def unlink(company: int, invoice: int, unlinked_by: str, reason: str) -> State[Any]:
    """Say whether the tie would be cut, by what the last look in the ERP found."""
    with open_ledger() as ledger:
        try:
            with ledger.rehearsal():
                repairing.unlink(ledger, company, invoice, Signature(unlinked_by), reason, run_id(), now)
        except RefusedError as refusal:
            return Completed(name="Previewed", message=f"Nothing would be unlinked: {refusal}")
    return Completed(name="Previewed", message=f"Invoice {invoice} would be unlinked. Nothing was changed.")


def _decided(flow: str, project: int, names: list[str], act: _Act) -> State[Any]:
    """Rehearse what a person asks for; a code is not asked for, and not spent."""
    with open_ledger() as ledger, open_erp() as erp:
        meant = choose(ledger, project, names)
        try:
            with ledger.rehearsal():
                answers = act(ledger, erp, list(meant.invoice_ids) if names else None)
        except RefusedError as refusal:
            return Completed(name="Previewed", message=f"Nothing would be done: {refusal}")
    rows = [{"invoice": name, "would be": "refused", "why": why} for name, why in meant.unclear]
    rows += [{"invoice": each.number, "would be": each.outcome, "why": each.reason} for each in answers]
    done = sum(each.is_done for each in answers)
    return _previewed(flow, rows, f"{done} of {len(rows)} invoices would be done as asked.")


def _previewed(flow: str, rows: list[dict[str, str]], words: str, forecasts: Sequence[Forecast] = ()) -> State[Any]:
    with _screen.open_screen() as client:
        _screen.attach_table(client, run_id(), rows, f"{flow}-preview", words)
        if bodies := [each for each in forecasts if each.body is not None]:
            _screen.attach(client, run_id(), _payloads(bodies), f"{flow}-payloads", words)
    return Completed(name="Previewed", message=f"Nothing was written; the list is on the Artifacts tab. {words}")


def _payloads(forecasts: Sequence[Forecast]) -> str:
    parts = []
    for each in forecasts[:_SHOWN]:
        body = json.dumps(each.body, indent=2, ensure_ascii=False, default=str)
        parts.append(f"## {publishing.cell(publishing.run_name(each.item))}\n\n```json\n{body}\n```\n")
    if len(forecasts) > _SHOWN:
        parts.append(f"… and {len(forecasts) - _SHOWN} more; `tieout preview --payload` prints them all.\n")
    return "\n".join(parts)

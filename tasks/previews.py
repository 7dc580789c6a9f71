"""Dry runs: what a flow would do, as artifacts of its run; nothing is written to Procore, the ERP or the ledger.

What is decided by a person is rehearsed: the very code of the real run, undone at its end.
"""

import json
from collections.abc import Callable, Sequence

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.states import Completed

from data_contracts.reference import Problem
from tasks import _prefect, items, watch
from tasks._run import actor, run_id
from tieout import wording
from tieout.clock import now
from tieout.connectors.base import ERP
from tieout.decisions import acknowledge_drift, confirm_release
from tieout.decisions.answers import Answer
from tieout.decisions.choice import choose
from tieout.decisions.refresh import compare
from tieout.decisions.reject import reject as reject_invoices
from tieout.decisions.reprocess import reprocess as reprocess_invoices
from tieout.decisions.retrieve import retrieve as retrieve_invoices
from tieout.decisions.send import send as send_invoices
from tieout.decisions.settle import examine, how_it_stands
from tieout.decisions.unlink import unlink as unlink_invoice
from tieout.errors import RefusedError
from tieout.export import outcome, preview
from tieout.export.preview import Forecast
from tieout.intake import invoices
from tieout.judgement.basis import Basis, load_basis
from tieout.ledger import mails, states
from tieout.ledger.book import Ledger
from tieout.ledger.items import Item
from tieout.opening import open_erp, open_ledger, open_procore
from tieout.outbox import notices
from tieout.payments import collection
from tieout.people.rights import Signature
from tieout.views import refresh_form, settle_form, standing
from tieout.watch import alarms

_Act = Callable[[Ledger, ERP, list[int] | None], Sequence[Answer]]
_SHOWN = 100  # payloads in one artifact
_UNKNOWN = "The ledger holds no such invoice: it was never sent."


def exports(flow: str) -> State[None]:
    """Show what would be exported: amounts, batch, accounting date, payload, and whether the ERP has it already."""
    forecasts = _foresee(preview.due)
    sent = [each.item for each in forecasts if each.presence == "new"]
    words = f"Would be sent: {wording.in_sum(sent)}, of {len(forecasts)} that are due."
    return _previewed(flow, preview.as_rows(forecasts), words, forecasts)


def retry(chosen: list[int]) -> State[None]:
    """List what would be tried again, with amounts and causes, and what would come of it."""

    def by_cause(ledger: Ledger, _: Basis) -> list[Item]:
        return [item for group in wording.by_cause(ledger.items(invoice_id=chosen)).values() for item in group]

    forecasts = _foresee(by_cause)
    found = [each.item for each in forecasts]
    causes = wording.by_cause(found)
    told = "; ".join(f"{cause}: {wording.in_sum(group)}" for cause, group in causes.items())
    pairs = zip(standing.as_table(found), preview.as_rows(forecasts), strict=True)
    words = f"Would be tried again: {wording.in_sum(found)}. {told}".strip()
    return _previewed("retry-exports", [cause | foreseen for cause, foreseen in pairs], words, forecasts)


def export(company: int, invoice: int) -> State[None]:
    """Show what would become of one invoice if it were exported now, whatever state it is in."""
    forecasts = _foresee(lambda ledger, _: ledger.items(company_id=company, invoice_id=invoice))
    words = "; ".join(f"{wording.run_name(each.item)}: {each.would}." for each in forecasts)
    return _previewed("export-invoice", preview.as_rows(forecasts), words or _UNKNOWN, forecasts)


def review(project: int) -> State[None]:
    """Show what an approver would be offered, and what accepting it would lead to."""
    forecasts = _foresee(lambda ledger, _: ledger.items(project_id=project, state=states.READY))
    words = (
        f"Would be offered: {wording.in_sum([each.item for each in forecasts])}. What is accepted goes as the table "
        "says; what is rejected goes back to its project, with the reason."
    )
    return _previewed("review-invoices", preview.as_rows(forecasts), words, forecasts)


def payments() -> State[None]:
    """List what would be written to Payments Issued."""
    with open_ledger() as ledger, open_erp() as erp:
        owed = collection.foresee(ledger, erp, now, actor())
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


def send(project: int, names: list[str], sent_by: str) -> State[None]:
    """Say of each invoice whether it would be Ready to Export, be stopped, or not be sent."""

    def act(ledger: Ledger, erp: ERP, wanted: list[int] | None) -> Sequence[Answer]:
        return send_invoices(ledger, load_basis(ledger, erp, now()), project, wanted, Signature(sent_by), now)

    return _decided("send-invoices", project, names, act)


def reprocess(project: int, names: list[str], requested_by: str) -> State[None]:
    """Say of each invoice what judging it again would come to."""

    def act(ledger: Ledger, erp: ERP, wanted: list[int] | None) -> Sequence[Answer]:
        by, terms = Signature(requested_by), load_basis(ledger, erp, now())
        return reprocess_invoices(ledger, terms, project, wanted or [], by, now)

    return _decided("reprocess-invoices", project, names, act)


def retrieve(project: int, names: list[str], retrieved_by: str) -> State[None]:
    """Say of each invoice whether it would be taken back."""

    def act(ledger: Ledger, _: ERP, wanted: list[int] | None) -> Sequence[Answer]:
        return retrieve_invoices(ledger, project, wanted, Signature(retrieved_by), run_id(), now)

    return _decided("retrieve-invoices", project, names, act)


def reject(project: int, names: list[str], rejected_by: str, reason: str) -> State[None]:
    """Say of each invoice whether it would be rejected."""

    def act(ledger: Ledger, erp: ERP, wanted: list[int] | None) -> Sequence[Answer]:
        by = Signature(rejected_by)
        return reject_invoices(ledger, erp, project, wanted, by, reason, run_id(), now).answers

    return _decided("reject-invoices", project, names, act)


def unlink(company: int, invoice: int, unlinked_by: str, reason: str) -> State[None]:
    """Say whether the tie would be cut, by what the last look in the ERP found."""
    by = Signature(unlinked_by)
    return _of_one(company, invoice, lambda ledger: unlink_invoice(ledger, company, invoice, by, reason, run_id(), now))


def acknowledge(company: int, invoice: int, acknowledged_by: str, reason: str) -> State[None]:
    """Say what would be let stand."""
    by = Signature(acknowledged_by)
    return _of_one(
        company, invoice, lambda ledger: acknowledge_drift.acknowledge(ledger, company, invoice, by, reason, now)
    )


def confirm(company: int, invoice: int, confirmed_by: str, note: str) -> State[None]:
    """Say which release by hand would be closed."""
    by = Signature(confirmed_by)
    return _of_one(company, invoice, lambda ledger: confirm_release.confirm(ledger, company, invoice, by, note, now))


def settle(company: int, invoice: int) -> State[None]:
    """Look in the ERP; show what an approver would be asked, or how the invoice stands by that look."""
    with open_ledger() as ledger, open_erp() as erp, ledger.rehearsal():
        doubt = examine(ledger, erp, company, invoice, now, actor())
        found = ledger.items(company_id=company, invoice_id=invoice)
        stands = how_it_stands(ledger, erp, found[0]) if found else _UNKNOWN
    return _asked("settle-uncertain", settle_form.description(doubt) if doubt else "", stands)


def refresh(company: int, invoice: int) -> State[None]:
    """Look in Procore; show what an approver would be asked, or why nobody would be."""
    with open_ledger() as ledger, open_erp() as erp, open_procore() as procore, ledger.rehearsal():
        if not ledger.items(company_id=company, invoice_id=invoice):
            return _asked("refresh-invoice", "", _UNKNOWN)
        invoices.refetch_one(ledger, procore, invoice, now)
        change = compare(ledger, erp.capabilities, company, invoice)
    if change is None:
        return _asked("refresh-invoice", "", "Procore shows it as it was judged.")
    return _asked("refresh-invoice", "" if change.refusal else refresh_form.description(change), change.refusal)


def keep_watch() -> State[None]:
    """List what would be put right, and what rings."""
    with open_ledger() as ledger, open_erp() as erp, _prefect.open_screen() as client:
        ringing = alarms.ringing(ledger, now)
        figures = _to_put_right(ledger, erp, client) | _rehearsed(ledger, erp, ringing)
    rows = [{"what": what, "how many": str(number)} for what, number in figures.items()]
    rows += [{"what": f"rings: {each.message}", "how many": "1"} for each in ringing]
    told = [f"{what}: {number}" for what, number in figures.items() if number]
    return _previewed("keep-watch", rows, f"{'; '.join(told) or 'Nothing to put right'}; alarms: {len(ringing)}.")


def _to_put_right(ledger: Ledger, erp: ERP, client: SyncPrefectClient) -> dict[str, int]:
    shown, reviews = items.plans(ledger, erp, client)
    return {
        "runs closed, as their workers died": len(watch.dead_runs(client)),
        "reviews closed that nobody can answer": len(watch.lapsed_reviews(ledger, client)),
        "reviews superseded": len(reviews.superseded),
        "reviews opened": len(reviews.wanted),
        "item runs created": len(shown.creations),
        "item runs moved": len(shown.moves),
        "uncertain invoices looked for": len(ledger.items(state=states.UNCERTAIN)),
    }


def _rehearsed(ledger: Ledger, erp: ERP, ringing: Sequence[Problem]) -> dict[str, int]:
    """Count what would be set free and told, by doing it in vain."""
    with ledger.rehearsal():
        freed = outcome.release_expired(ledger, erp, now, actor())
        notices.tell_of_alarms(ledger, ringing, now)
        notices.remind_of_reviews(ledger, now)
        with ledger.reading() as connection:
            owed = len(mails.open_ids(connection))
    return {"invoices set free that a dead run had claimed": freed, "mails sent": owed}


def _foresee(choose: Callable[[Ledger, Basis], list[Item]]) -> list[Forecast]:
    with open_ledger() as ledger, open_erp() as erp:
        terms = preview.read_basis(ledger, erp, now)
        return preview.foresee(ledger, erp, terms, choose(ledger, terms), now())


def _of_one(company: int, invoice: int, act: Callable[[Ledger], None]) -> State[None]:
    """Rehearse what a person decides of one invoice; a code is not asked for, and not spent."""
    with open_ledger() as ledger:
        before = ledger.items(company_id=company, invoice_id=invoice)
        try:
            with ledger.rehearsal():
                act(ledger)
                after = ledger.items(company_id=company, invoice_id=invoice)
        except RefusedError as refusal:
            return _unwritten(f"Nothing would be done: {refusal}")
    stood, stands = (standing.standing_of(each).name for each in (before[0], after[0]))
    then = "would stay so" if before == after else f"would be {stands}"
    words = f"{wording.run_name(before[0])} is {stood} and {then}. {standing.in_brief(before[0])}"
    return _unwritten(words.strip())


def _asked(flow: str, form: str, otherwise: str) -> State[None]:
    """Show what an approver would be asked; without a form, why nobody would be."""
    if not form:
        return _unwritten(f"Nobody would be asked. {otherwise}")
    with _prefect.open_screen() as client:
        _prefect.attach(client, run_id(), form, f"{flow}-preview", "What an approver would be asked.")
    return _unwritten("What an approver would be asked is on the Artifacts tab.")


def _unwritten(words: str) -> State[None]:
    return Completed(name="Previewed", message=f"Nothing was written. {words}")


def _decided(flow: str, project: int, names: list[str], act: _Act) -> State[None]:
    """Rehearse what a person asks for; a code is not asked for, and not spent."""
    with open_ledger() as ledger, open_erp() as erp:
        meant = choose(ledger, project, names)
        try:
            with ledger.rehearsal():
                answers = act(ledger, erp, list(meant.invoice_ids) if names else None)
        except RefusedError as refusal:
            return _unwritten(f"Nothing would be done: {refusal}")
    rows = [{"invoice": name, "would be": "refused", "why": why} for name, why in meant.unclear]
    rows += [{"invoice": each.number, "would be": each.outcome, "why": each.reason} for each in answers]
    done = sum(each.is_done for each in answers)
    return _previewed(flow, rows, f"{done} of {len(rows)} invoices would be done as asked.")


def _previewed(flow: str, rows: list[dict[str, str]], words: str, forecasts: Sequence[Forecast] = ()) -> State[None]:
    with _prefect.open_screen() as client:
        _prefect.attach_table(client, run_id(), rows, f"{flow}-preview", words)
        if bodies := [each for each in forecasts if each.body is not None]:
            _prefect.attach(client, run_id(), _payloads(bodies), f"{flow}-payloads", words)
    return _unwritten(f"The list is on the Artifacts tab. {words}")


def _payloads(forecasts: Sequence[Forecast]) -> str:
    parts = []
    for each in forecasts[:_SHOWN]:
        body = json.dumps(each.body, indent=2, ensure_ascii=False, default=str)
        parts.append(f"## {wording.cell(wording.run_name(each.item))}\n\n```json\n{body}\n```\n")
    if len(forecasts) > _SHOWN:
        parts.append(f"… and {len(forecasts) - _SHOWN} more; `tieout preview --payload` prints them all.\n")
    return "\n".join(parts)

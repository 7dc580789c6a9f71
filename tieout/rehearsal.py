"""What a flow would do, without doing it: a forecast of exports, or the very code of the real run, undone at its end.

A code is not asked for, and not spent.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tieout import wording
from tieout.connectors.base import ERP
from tieout.connectors.procore import Procore
from tieout.decisions import acknowledge_drift, choice, confirm_release
from tieout.decisions.answers import Answer
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
from tieout.office import Office
from tieout.outbox import notices
from tieout.payments import collection
from tieout.people.rights import Signature
from tieout.views import refresh_form, settle_form, standing
from tieout.watch import alarms

_SHOWN = 100  # payloads in one artifact


@dataclass(frozen=True)
class Rehearsed:
    """What a dry run shows: a sentence, and what it hangs on its run."""

    words: str
    rows: list[dict[str, str]] | None = None  # None: there is no list
    payloads: str = ""
    form: str = ""  # what an approver would be asked


def exports(ledger: Ledger, erp: ERP, project_ids: Sequence[int], office: Office) -> Rehearsed:
    """Show what would be exported: amounts, batch, accounting date, payload, and whether the ERP has it already."""
    for each in project_ids:
        choice.named_project(ledger, each)
    forecasts = _foresee(ledger, erp, partial(preview.due, ledger), office)
    sent = [each.item for each in forecasts if each.presence == "new"]
    return _foreseen(forecasts, f"Would be sent: {wording.in_sum(sent)}, of {len(forecasts)} that are due.")


def retry(
    ledger: Ledger,
    erp: ERP,
    cause: str | None,
    project_id: int | None,
    invoice_ids: Sequence[int] | None,
    office: Office,
) -> Rehearsed:
    """List what would be tried again, with amounts and causes, and what would come of it."""
    causes = wording.by_cause(choice.failed(ledger, cause, project_id, invoice_ids))
    found = [item for group in causes.values() for item in group]
    forecasts = _foresee(ledger, erp, lambda _: found, office)
    told = "; ".join(f"{cause}: {wording.in_sum(group)}" for cause, group in causes.items())
    pairs = zip(standing.as_table(found), preview.as_rows(forecasts), strict=True)
    words = f"Would be tried again: {wording.in_sum(found)}. {told}".strip()
    return Rehearsed(words, [cause | foreseen for cause, foreseen in pairs], _payloads(forecasts))


def export(ledger: Ledger, erp: ERP, company_id: int, invoice_id: int, office: Office) -> Rehearsed:
    """Show what would become of one invoice if it were exported now, whatever state it is in."""
    item = choice.named_invoice(ledger, invoice_id, company_id)
    [forecast] = _foresee(ledger, erp, lambda _: [item], office)
    return _foreseen([forecast], f"{wording.run_name(item)}: {forecast.would}.")


def review(ledger: Ledger, erp: ERP, project_id: int, office: Office) -> Rehearsed:
    """Show what an approver would be offered, and what accepting it would lead to."""
    choice.named_project(ledger, project_id)
    offered = ledger.items(project_id=project_id, state=states.READY)
    words = (
        f"Would be offered: {wording.in_sum(offered)}. What is accepted goes as the table "
        "says; what is rejected goes back to its project, with the reason."
    )
    return _foreseen(_foresee(ledger, erp, lambda _: offered, office), words)


def payments(ledger: Ledger, erp: ERP, office: Office) -> Rehearsed:
    """List what would be written to Payments Issued."""
    rows = [
        {
            "invoice": each.invoice_number,
            "check": each.check_number,
            "paid on": each.paid_on.isoformat(),
            "amount": f"{each.amount:,}",
            "method": each.method or "",
            "origin id": each.origin_id,
        }
        for each in collection.foresee(ledger, erp, office)
    ]
    return Rehearsed(f"Would be written to Payments Issued: {len(rows)} payments.", rows)


def send(ledger: Ledger, erp: ERP, project_id: int, names: Sequence[str], by: Signature, office: Office) -> Rehearsed:
    """Say of each invoice whether it would be Ready to Export, be stopped, or not be sent."""

    def act(wanted: list[int] | None) -> Sequence[Answer]:
        return send_invoices(ledger, load_basis(ledger, erp, office), project_id, wanted, by, office)

    return _decided(ledger, project_id, names, act)


def reprocess(
    ledger: Ledger, erp: ERP, project_id: int, names: Sequence[str], by: Signature, office: Office
) -> Rehearsed:
    """Say of each invoice what judging it again would come to."""

    def act(wanted: list[int] | None) -> Sequence[Answer]:
        basis = load_basis(ledger, erp, office)
        return reprocess_invoices(ledger, basis, project_id, wanted or [], by, office)

    return _decided(ledger, project_id, names, act)


def retrieve(
    ledger: Ledger, project_id: int, names: Sequence[str], by: Signature, run_id: str, office: Office
) -> Rehearsed:
    """Say of each invoice whether it would be taken back."""

    def act(wanted: list[int] | None) -> Sequence[Answer]:
        return retrieve_invoices(ledger, project_id, wanted, by, run_id, office)

    return _decided(ledger, project_id, names, act)


def reject(
    ledger: Ledger,
    erp: ERP,
    project_id: int,
    names: Sequence[str],
    by: Signature,
    reason: str,
    run_id: str,
    office: Office,
) -> Rehearsed:
    """Say of each invoice whether it would be rejected."""

    def act(wanted: list[int] | None) -> Sequence[Answer]:
        return reject_invoices(ledger, erp, project_id, wanted, by, reason, run_id, office).answers

    return _decided(ledger, project_id, names, act)


def unlink(
    ledger: Ledger, company_id: int, invoice_id: int, by: Signature, reason: str, run_id: str, office: Office
) -> Rehearsed:
    """Say whether the tie would be cut, by what the last look in the ERP found."""
    act = partial(unlink_invoice, ledger, company_id, invoice_id, by, reason, run_id, office)
    return _of_one(ledger, company_id, invoice_id, act)


def acknowledge(
    ledger: Ledger, company_id: int, invoice_id: int, by: Signature, reason: str, office: Office
) -> Rehearsed:
    """Say what would be let stand."""
    act = partial(acknowledge_drift.acknowledge, ledger, company_id, invoice_id, by, reason, office)
    return _of_one(ledger, company_id, invoice_id, act)


def confirm(ledger: Ledger, company_id: int, invoice_id: int, by: Signature, note: str, office: Office) -> Rehearsed:
    """Say which release by hand would be closed."""
    act = partial(confirm_release.confirm, ledger, company_id, invoice_id, by, note, office)
    return _of_one(ledger, company_id, invoice_id, act)


def settle(ledger: Ledger, erp: ERP, company_id: int, invoice_id: int, office: Office) -> Rehearsed:
    """Look in the ERP; show what an approver would be asked, or how the invoice stands by that look."""
    with ledger.rehearsal():
        doubt = examine(ledger, erp, company_id, invoice_id, office)
        item = choice.named_invoice(ledger, invoice_id, company_id)
        stands = how_it_stands(ledger, erp, item)
    return _asked(settle_form.description(doubt) if doubt else "", stands)


def refresh(ledger: Ledger, erp: ERP, procore: Procore, company_id: int, invoice_id: int, office: Office) -> Rehearsed:
    """Look in Procore; show what an approver would be asked, or why nobody would be."""
    choice.named_invoice(ledger, invoice_id, company_id)
    with ledger.rehearsal():
        invoices.refetch_one(ledger, procore, invoice_id, office)
        change = compare(ledger, erp.capabilities, company_id, invoice_id)
    if change is None:
        return _asked("", "Procore shows it as it was judged.")
    return _asked("" if change.refusal else refresh_form.description(change), change.refusal)


def keep_watch(ledger: Ledger, erp: ERP, in_prefect: dict[str, int], office: Office) -> Rehearsed:
    """List what would be put right, beginning with what is amiss in Prefect, and what rings."""
    uncertain = {"uncertain invoices looked for": len(ledger.items(state=states.UNCERTAIN))}
    ringing = alarms.ringing(ledger, office)
    with ledger.rehearsal():
        freed = outcome.release_expired(ledger, erp, office)
        notices.tell_of_alarms(ledger, ringing, office)
        notices.remind_of_reviews(ledger, office)
        with ledger.reading() as connection:
            owed = len(mails.open_ids(connection))
    vain = {"invoices set free that a dead run had claimed": freed, "mails sent": owed}
    figures = in_prefect | uncertain | vain
    rows = [{"what": what, "how many": str(number)} for what, number in figures.items()]
    rows += [{"what": f"rings: {each.message}", "how many": "1"} for each in ringing]
    told = [f"{what}: {number}" for what, number in figures.items() if number]
    return Rehearsed(f"{'; '.join(told) or 'Nothing to clean up'}; alarms: {len(ringing)}.", rows)


def _foresee(ledger: Ledger, erp: ERP, choose: Callable[[Basis], list[Item]], office: Office) -> list[Forecast]:
    basis = preview.read_basis(ledger, erp, office)
    return preview.foresee(ledger, erp, basis, choose(basis), office.clock())


def _foreseen(forecasts: Sequence[Forecast], words: str) -> Rehearsed:
    return Rehearsed(words, preview.as_rows(forecasts), _payloads(forecasts))


def _payloads(forecasts: Sequence[Forecast]) -> str:
    made = [each for each in forecasts if each.body is not None]
    parts = []
    for each in made[:_SHOWN]:
        body = json.dumps(each.body, indent=2, ensure_ascii=False, default=str)
        parts.append(f"## {wording.cell(wording.run_name(each.item))}\n\n```json\n{body}\n```\n")
    if len(made) > _SHOWN:
        parts.append(f"… and {len(made) - _SHOWN} more; `tieout preview --payload` prints them all.\n")
    return "\n".join(parts)


def _decided(
    ledger: Ledger, project_id: int, names: Sequence[str], act: Callable[[list[int] | None], Sequence[Answer]]
) -> Rehearsed:
    """Rehearse what a person asks for of some invoices, or without names of all that it can be asked for."""
    meant = choice.choose(ledger, project_id, names)
    try:
        with ledger.rehearsal():
            answers = act(list(meant.invoice_ids) if names else None)
    except RefusedError as refusal:
        return Rehearsed(f"Nothing would be done: {refusal}")
    rows = [{"invoice": name, "would be": "refused", "why": why} for name, why in meant.unclear]
    rows += [{"invoice": each.number, "would be": each.outcome, "why": each.reason} for each in answers]
    done = sum(each.is_done for each in answers)
    return Rehearsed(f"{done} of {len(rows)} invoices would be done as asked.", rows)


def _of_one(ledger: Ledger, company_id: int, invoice_id: int, act: Callable[[], None]) -> Rehearsed:
    """Rehearse what a person decides of one invoice."""
    before = choice.named_invoice(ledger, invoice_id, company_id)
    try:
        with ledger.rehearsal():
            act()
            after = choice.named_invoice(ledger, invoice_id, company_id)
    except RefusedError as refusal:
        return Rehearsed(f"Nothing would be done: {refusal}")
    stood, stands = (standing.standing_of(each).name for each in (before, after))
    then = "would stay so" if before == after else f"would be {stands}"
    words = f"{wording.run_name(before)} is {stood} and {then}. {standing.in_brief(before)}"
    return Rehearsed(words.strip())


def _asked(form: str, otherwise: str) -> Rehearsed:
    """Show what an approver would be asked; without a form, why nobody would be."""
    if form:
        return Rehearsed("What an approver would be asked is on the Artifacts tab.", form=form)
    return Rehearsed(f"Nobody would be asked. {otherwise}")

"""The end of a run: its report as an artifact, and the colour that it deserves."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import State, StateType

from tasks import _prefect, checks, decisions, erp, items, notices, procore, reviews, watch
from tasks._run import actor, run_id, started_at
from tasks._steps import Steps
from tieout import settings, wording
from tieout.ledger import audit, states
from tieout.ledger.book import Ledger
from tieout.ledger.references import known_projects, project_name
from tieout.opening import open_erp, open_ledger
from tieout.views import inquiry
from tieout.views.quality import Quality
from tieout.views.run_report import FINISHED_WITH_FAILURES, RunReport
from tieout.views.standing import FAILING, SUPERSEDED, Standing, key_of, standing_of

_ANSWERING = {decisions.send: "sent", decisions.reprocess: "reprocessed", decisions.retrieve: "retrieved"}
LEFT_TO_ANOTHER = "Left to Another Run"


def conclude(steps: Steps, green: str = "Completed") -> State[Any]:
    """Write the report of the run and return its end: red if anything in this run failed, never for older failures."""
    report = _report(steps)
    with _prefect.open_screen() as client:
        _prefect.attach(client, run_id(), report.markdown(), _key(steps.title), report.in_short())
    return _state(report.standing(green))


def conclude_item(steps: Steps, company: int, invoice: int) -> State[Any]:
    """Explain how the invoice stands now and return the end of its run."""
    with open_ledger() as ledger, open_erp() as connector, _prefect.open_screen() as client:
        found = ledger.items(company_id=company, invoice_id=invoice)
        if not found:
            return _state(Standing("COMPLETED", SUPERSEDED, "The ledger holds no such invoice."))
        items.explain(ledger, connector, client, found[0], steps.unfinished)
        standing = standing_of(found[0], items.places(connector))
        is_its_item = client.read_flow_run(UUID(run_id())).idempotency_key == key_of(found[0])
    if standing.type == "FAILED" and steps.unfinished:
        standing = replace(standing, message=f"{'; '.join(steps.unfinished)}. Nothing was changed; press Retry again.")
    if standing.type == "FAILED" and not is_its_item:  # the invoice is shown once, by the run that stands for it
        words = f"{standing.name}, see its own run in that view. {standing.message}"
        standing = Standing("FAILED", FINISHED_WITH_FAILURES, words)
    return _state(standing)


def left_to(other: str) -> State[Any]:
    """Return the end of a run that leaves its job to the one that does it already."""
    with _prefect.open_screen() as client:
        name = _prefect.name_of(client, other)
    where = wording.run_at(settings.prefect_section().ui_url, other)
    words = (
        f"{name} does this just now, see {where}. Nobody needs to act; if it is stuck, cancel it and run this again."
    )
    return _state(Standing("COMPLETED", LEFT_TO_ANOTHER, words))


def nothing_to_review() -> State[Any]:
    """Return the end of a review that has nothing to decide."""
    words = "Nothing is Ready to Export here, or a newer review stands for it."
    return _state(Standing("COMPLETED", "Nothing to Review", words))


def _key(title: str) -> str:
    return title.lower().replace(" ", "-")


def _state(end: Standing) -> State[Any]:
    return State(type=StateType(end.type), name=end.name, message=end.message)


def _report(steps: Steps) -> RunReport:
    with open_ledger() as ledger, open_erp() as connector:
        exported, failed = inquiry.brought_about(ledger, actor(), started_at())
        return RunReport(
            title=steps.title,
            counts=inquiry.counts(ledger),
            exported=exported,
            failed=failed,
            failing=ledger.items(state=tuple(FAILING)),
            drifted=inquiry.drifted(ledger),
            to_release=inquiry.to_release(ledger),
            not_exportable=ledger.items(state=states.NOT_EXPORTABLE),
            unfinished=steps.unfinished,
            refused=_refused(steps),
            alarms=[f"{each.message} {each.remedy}" for rung in steps.of(watch.ring) for each in rung],
            notes=_notes(steps, ledger),
            figures=_figures(steps),
            runs=next(iter(steps.of(items.publish)), {}),
            quality=next(iter(steps.of(checks.show_quality)), Quality()),
            ui_url=settings.prefect_section().ui_url,
            menu_path=connector.capabilities.menu_path,
            head=audit.head(ledger),
        )


def _notes(steps: Steps, ledger: Ledger) -> list[str]:
    answers = steps.of(procore.fetch_changed_invoices)
    projects = known_projects(ledger, {each.project_id for each in answers})
    fetched = [(project_name(projects, each.project_id), each) for each in answers]
    notes = [f"{name} passed over: {each.skipped}" for name, each in fetched if each.skipped]
    notes += [f"{name}: {problem}" for name, each in fetched for problem in each.problems]
    for read in (procore.read_books, erp.read_reference):
        notes += [problem for problems in steps.of(read) for problem in problems]
    notes += [counted for counted in steps.of(procore.take_census) if counted]
    notes += [words for vanished in steps.of(watch.list_vanished) for words in vanished]
    for answers in (*steps.of(decisions.send), *steps.of(decisions.reprocess)):
        notes += [f"{each.number} {each.outcome}: {each.reason}" for each in answers if each.reason and each.is_done]
    for rejected in steps.of(decisions.reject):
        notes += rejected.untold
    for decided in steps.of(reviews.record):
        notes += [f"{number}: the decision came too late, {why}" for number, why in decided.refused]
        notes += decided.untold
    for mailed in steps.of(notices.deliver_mail):
        notes += [f"nobody read it: {refusal}" for refusal in mailed.refusals]
        notes += [f"{mailed.later} mails wait: {mailed.why}"] if mailed.later else []
    for delivered in steps.of(procore.deliver_letters):
        notes += delivered.refusals
        notes += [f"{delivered.later} write-backs wait until Procore takes them"] if delivered.later else []
    notes += [words for collected in steps.of(erp.collect_payments) for words in collected.not_shown]
    return notes + [problem for each in steps.of(procore.write_payments) for problem in each.problems]


def _refused(steps: Steps) -> list[str]:
    """Return what a person asked for and was not done, with the reasons."""
    told = [f"{name}: {why}" for chosen in steps.of(decisions.choose_invoices) for name, why in chosen.unclear]
    answers = [each for step in _ANSWERING for each in steps.of(step)]
    answers += [rejected.answers for rejected in steps.of(decisions.reject)]
    return told + [f"{each.number}: {each.reason}" for group in answers for each in group if not each.is_done]


def _figures(steps: Steps) -> list[tuple[str, str]]:
    figures = [("changed in Procore", sum(each.changed for each in steps.of(procore.fetch_changed_invoices)))]
    for step, name in _ANSWERING.items():
        figures += [(name, sum(each.is_done for answers in steps.of(step) for each in answers))]
    figures += [("rejected", sum(each.is_done for done in steps.of(decisions.reject) for each in done.answers))]
    for decided in steps.of(reviews.record):
        figures += [("accepted", len(decided.accepted)), ("rejected", len(decided.rejected))]
    figures += [("payments written to Procore", sum(each.written for each in steps.of(procore.write_payments)))]
    figures += [("mails sent", sum(each.sent for each in steps.of(notices.deliver_mail)))]
    figures += [("reviews waiting", sum(len(each) for each in steps.of(items.open_reviews)))]
    return [(name, str(number)) for name, number in figures if number]

"""The end of a run: its report as an artifact, and the colour that it deserves."""

from dataclasses import replace
from uuid import UUID

from prefect.client.schemas.objects import State, StateType

from tasks import _prefect, items
from tasks._run import actor, open_office, run_id, started_at
from tasks._steps import Steps
from tieout import wording
from tieout.ledger import audit, states
from tieout.office import Office
from tieout.opening import open_erp, open_ledger
from tieout.views import inquiry
from tieout.views.quality import Quality
from tieout.views.run_report import FINISHED_WITH_FAILURES, RunReport
from tieout.views.runs import ItemRuns
from tieout.views.standing import FAILING, Standing, key_of, standing_of

LEFT_TO_ANOTHER = "Left to Another Run"


def conclude(steps: Steps, green: str = "Completed") -> State[None]:
    """Write the report of the run and return its end: red if anything in this run failed, never for older failures."""
    report = _report(steps, open_office())
    with _prefect.open_screen() as client:
        _prefect.attach(client, run_id(), report.markdown(), _key(steps.title), report.in_short())
    return _state(report.standing(green))


def conclude_item(steps: Steps, company: int, invoice: int) -> State[None]:
    """Explain how the invoice stands now and return the end of its run: red where a step did not finish."""
    office = open_office()
    with open_ledger(office) as ledger, open_erp(office) as connector, _prefect.open_screen() as client:
        found = ledger.items(company_id=company, invoice_id=invoice)
        if not found:
            return _red("; ".join(steps.unfinished))
        items.explain(office, ledger, connector, client, found[0], steps.unfinished)
        standing = standing_of(found[0], items.places(office, connector))
        is_its_item = client.read_flow_run(UUID(run_id())).idempotency_key == key_of(found[0])
    unfinished = "; ".join(steps.unfinished)
    if unfinished and standing.type != "FAILED":
        return _red(f"{unfinished}. It is {standing.name}: {standing.message}")
    if unfinished:
        standing = replace(standing, message=f"{unfinished}. Nothing was changed; press Retry again.")
    if standing.type == "FAILED" and not is_its_item:  # the invoice is shown once, by the run that stands for it
        return _red(f"{standing.name}, see its own run in that view. {standing.message}")
    return _state(standing)


def left_to(other: str) -> State[None]:
    """Return the end of a run that leaves its job to the one that does it already."""
    office = open_office()
    with _prefect.open_screen() as client:
        name = _prefect.name_of(client, other)
    where = wording.run_at(office.settings.prefect.ui_url, other)
    words = (
        f"{name} is doing this right now, see {where}. Nobody has to act; if it is stuck, cancel it and run this again."
    )
    return _state(Standing("COMPLETED", LEFT_TO_ANOTHER, words))


def nothing_to_review(steps: Steps) -> State[None]:
    """Return the end of a review that has nothing to decide: red where that could not be found out."""
    if steps.unfinished:
        return _red("; ".join(steps.unfinished))
    words = "Nothing is Ready to Export here, or a newer review shows it."
    return _state(Standing("COMPLETED", "Nothing to Review", words))


def _key(title: str) -> str:
    return title.lower().replace(" ", "-")


def _red(words: str) -> State[None]:
    return _state(Standing("FAILED", FINISHED_WITH_FAILURES, words))


def _state(end: Standing) -> State[None]:
    return State(type=StateType(end.type), name=end.name, message=end.message)


def _report(steps: Steps, office: Office) -> RunReport:
    with open_ledger(office) as ledger, open_erp(office) as connector:
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
            refused=steps.refused,
            alarms=steps.alarms,
            notes=steps.notes,
            figures=steps.figures,
            runs=next((each.runs for each in steps.of(ItemRuns)), {}),
            quality=next(iter(steps.of(Quality)), Quality()),
            ui_url=office.settings.prefect.ui_url,
            menu_path=connector.capabilities.menu_path,
            head=audit.head(ledger),
        )

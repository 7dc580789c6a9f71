"""After every pass the runs of each badge are the items of the ledger, whatever happened to either in between."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from random import Random
from typing import Any

import httpx
import pytest
from builders import an_office
from prefect.states import Cancelled, Completed, Crashed, Failed, Running

from tasks import items
from tieout.errors import TransientError
from tieout.export import chunk, observation, outcome
from tieout.intake import invoices, reference
from tieout.judgement import batch
from tieout.judgement.basis import load_basis
from tieout.ledger import states
from tieout.ledger.items import Item
from tieout.opening import open_erp, open_ledger, open_procore
from tieout.views.standing import DRIFTED, FAILING, key_of

_ACTOR = "story"
_ROUNDS = 10
_STATES = (
    Cancelled(),
    Completed(),
    Crashed(),
    Failed(),
    Running(),
    Completed(name="Exported"),
    Completed(name="Failed to Export"),
    Failed(name="Held"),
)


@pytest.mark.sandbox(projects=2, invoices=14, no_troubles=True)
def test_the_runs_of_each_badge_are_the_items_whatever_happened(stage: Any, server: Any):
    story = Story(stage, Random(4))
    story.begin()
    for number in range(_ROUNDS):
        for _ in range(story.random.randrange(1, 4)):
            story.random.choice(story.moves)()
        if number == _ROUNDS // 2:
            server.kill()
            story.fail_some()
            with pytest.raises(httpx.TransportError):
                items.publish.fn()
            server.start()
        story.publish(at_once=number % 3 == 0)

        assert story.shown() == story.wanted(), number


class Story:
    """Random steps of the engine and random hands in Prefect."""

    def __init__(self, stage: Any, random: Random) -> None:
        self.stage, self.random = stage, random
        self.moves: list[Callable[[], None]] = [
            self.accept_some, self.export, self.fail_some, self.mend, self.edit_one, self.lose_answers, self.settle,
            self.set_back_one, self.observe, self.delete_a_run, self.put_a_state, self.put_a_state, self.start_by_hand,
        ]  # fmt: skip

    # The ledger.

    def begin(self) -> None:
        with open_ledger(an_office()) as ledger, open_erp(an_office()) as erp, open_procore(an_office()) as procore:
            projects = reference.list_projects(ledger, procore, an_office())
            for project in projects:
                invoices.fetch_changed(ledger, procore, project, an_office())
            reference.read_reference(ledger, erp, an_office())
            reference.read_books(ledger, procore, projects, an_office())
            batch.judge_projects(ledger, load_basis(ledger, erp, an_office()), projects, an_office(actor=_ACTOR))

    def accept_some(self) -> None:
        for item in self.stage.items("READY")[:3]:
            self.stage.accept(item)

    def export(self) -> None:
        with open_ledger(an_office()) as ledger, open_erp(an_office()) as erp:
            outcome.revive_transient(ledger, an_office(actor=_ACTOR))
            chunk.export_chunk(ledger, erp, load_basis(ledger, erp, an_office()), an_office(actor=_ACTOR))

    def fail_some(self) -> None:
        """Accounting makes a vendor inactive, and what is accepted of it is refused."""
        self.accept_some()
        ready = self.stage.items("READY", "ACCEPTED")
        if ready:
            self._set_vendor(self.random.choice(ready), "N")
        self.export()

    def mend(self) -> None:
        for item in self.stage.items("FAILED", "HELD"):
            self._set_vendor(item, "A")

    def edit_one(self) -> None:
        """A project manager changes an invoice: what was exported drifts, the rest is judged anew."""
        item = self.random.choice(self.stage.items())
        number = f"{item.number}-{self.random.randrange(9)}"
        self.stage.sandbox.procore(f"requisitions/{item.invoice_id}/edit", {"invoice_number": number})
        self._read_again(item)

    def set_back_one(self) -> None:
        item = self.random.choice(self.stage.items())
        self.stage.sandbox.procore(f"requisitions/{item.invoice_id}/approve", {"status": "draft"})
        self._read_again(item)
        self.stage.sandbox.procore(f"requisitions/{item.invoice_id}/approve", {"status": "approved"})
        self._read_again(item)

    def lose_answers(self) -> None:
        self.accept_some()
        self.stage.sandbox.fail("spectrum", route="POST /vendor/invoice", kind="reset_before", times=1)
        try:
            self.export()
        except TransientError:
            return
        finally:
            self.stage.sandbox.fail("spectrum")

    def settle(self) -> None:
        with open_ledger(an_office()) as ledger, open_erp(an_office()) as erp:
            outcome.settle_uncertain(ledger, erp, an_office(actor=_ACTOR))

    def observe(self) -> None:
        with open_ledger(an_office()) as ledger, open_erp(an_office()) as erp:
            observation.observe(ledger, erp, an_office(actor=_ACTOR))

    # Prefect.

    def publish(self, at_once: bool) -> None:
        """Make a pass, or two at once; an outcome counts as unknown for long when the lease is short."""
        self.stage.set("export", lease_seconds=0.001)
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(copy_context().run, items.publish.fn) for _ in range(2 if at_once else 1)]:
                done.result()
        self.stage.set("export", lease_seconds=300.0)

    def delete_a_run(self) -> None:
        if run := self._any_run():
            self.stage.client.delete_flow_run(run.id)

    def put_a_state(self) -> None:
        if run := self._any_run():
            self.stage.client.set_flow_run_state(run.id, self.random.choice(_STATES), force=True)

    def start_by_hand(self) -> None:
        """Somebody runs the deployment by its form, and that ends red."""
        item = self.random.choice(self.stage.items())
        deployment = self.stage.client.read_deployment_by_name("export-invoice/export-invoice")
        parameters = {"company": item.company_id, "invoice": item.invoice_id}
        failed = Failed(name=self.random.choice(["Failed to Export", "Held", "Finished with Failures"]))
        self.stage.client.create_flow_run_from_deployment(deployment.id, parameters=parameters, state=failed)

    # What is compared.

    def wanted(self) -> set[tuple[str, str]]:
        """Return badge and key of each item, but for those whose run is said to be going on."""
        going_on = {run.idempotency_key for run in self.stage.runs("Running")}
        badges = [(badge(item), key_of(item)) for item in self.stage.items()]
        return {(name, key) for name, key in badges if name and key not in going_on}

    def shown(self) -> set[tuple[str, str]]:
        """Return badge and key of each run that bears one; AssertionError for one that has no business there."""
        runs = self.stage.runs(*FAILING.values(), DRIFTED)
        assert all(run.state.is_failed() and run.idempotency_key for run in runs), runs
        shown = [(run.state_name, run.idempotency_key) for run in runs]
        assert len(shown) == len(set(shown))
        ended = [run for run in self.stage.runs() if run.state_name != "Running"]
        assert {run.state.type.value for run in ended} <= {"FAILED", "COMPLETED"}
        return set(shown)

    def _any_run(self) -> Any:
        runs = self.stage.runs()
        return self.random.choice(runs) if runs else None

    def _set_vendor(self, item: Item, status: str) -> None:
        self.stage.sandbox.spectrum("vendors", {"code": self.stage.vendor_of(item), "status": status})
        with open_ledger(an_office()) as ledger, open_erp(an_office()) as erp:
            reference.read_reference(ledger, erp, an_office())
            waiting = [each.invoice_id for each in ledger.items(state=("HELD", "FAILED"))]
            batch.rejudge(ledger, load_basis(ledger, erp, an_office()), waiting, an_office(actor=_ACTOR))

    def _read_again(self, item: Item) -> None:
        with open_ledger(an_office()) as ledger, open_erp(an_office()) as erp, open_procore(an_office()) as procore:
            invoices.refetch_one(ledger, procore, item.invoice_id, an_office())
            batch.rejudge(ledger, load_basis(ledger, erp, an_office()), [item.invoice_id], an_office(actor=_ACTOR))
            observation.observe(ledger, erp, an_office(actor=_ACTOR), [item.invoice_id])


def badge(item: Item) -> str | None:
    """The view in which a person must find the item."""
    if item.state in (*states.IN_ERP, states.GONE):
        return DRIFTED if item.drift != "[]" else None
    return FAILING.get(item.state)

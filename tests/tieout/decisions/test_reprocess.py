"""Reprocess asks the automatic import again: for Not imported and Error only, and never exports by itself."""

import json

import pytest
from desk import AFTER_A_NIGHT, APPROVER, SENDER, Desk
from ledgers import ON_BOTH_DATABASES

from tieout.decisions.answers import Answer
from tieout.decisions.choice import choose
from tieout.decisions.reprocess import reprocess as reprocess_invoices
from tieout.errors import RefusedError
from tieout.people.rights import Signature


def only_project(desk: Desk) -> int:
    [project_id] = {row["project_id"] for row in desk.requisitions().values()}
    return int(project_id)


def reprocess(desk: Desk, *named: object, by: str = SENDER) -> list[Answer]:
    desk.read()
    project_id = only_project(desk)
    meant = choose(desk.ledger, project_id, [str(each) for each in named])
    assert meant.unclear == ()
    return reprocess_invoices(desk.ledger, desk.basis, project_id, meant.invoice_ids, Signature(by), desk.office)


def reason(desk: Desk, named: object) -> str:
    [answer] = reprocess(desk, named)
    assert answer.outcome == "refused"
    return answer.reason


@ON_BOTH_DATABASES
def test_what_was_not_imported_is_sent_and_an_error_is_judged_again(desk: Desk):
    retrieved, held, failed, *_ = ids = sorted(desk.requisitions())
    desk.edit(held, invoice_number="")
    desk.night()
    accepted = desk.accept()
    desk.enter(preview(desk, failed) | {"Remarks": "", "Retention_Amount": "1.00"})
    desk.export([failed])
    desk.set_status(retrieved, "draft")
    desk.night()
    assert [desk.states()[each] for each in ids[:3]] == ["RETRIEVED", "HELD", "FAILED"]
    desk.set_status(retrieved, "approved_as_noted")
    desk.night()
    assert desk.states()[retrieved] == "RETRIEVED"

    desk.set_status(retrieved, "approved")
    desk.edit(held, invoice_number="MENDED-1")
    before = desk.exported()
    answers = reprocess(desk, retrieved, "MENDED-1", desk.item(failed).number)

    assert [each.outcome for each in answers] == ["READY", "READY", "ACCEPTED"]
    assert desk.exported() == before
    assert failed in accepted
    assert desk.audit() == []


def preview(desk: Desk, invoice_id: int) -> dict[str, object]:
    document = desk.payload(invoice_id)
    return document


@AFTER_A_NIGHT
def test_what_waits_or_is_in_the_erp_is_not_reprocessed(desk: Desk):
    first, second, third, *_ = sorted(desk.requisitions())
    assert "it is In Queue (READY)" in reason(desk, first)
    desk.accept()
    desk.fault("spectrum", "POST /vendor/invoice", "reset_before")
    desk.export([second])
    desk.export([first])

    assert "it is Imported (EXPORTED)" in reason(desk, first)
    assert "run settle-uncertain" in reason(desk, second)
    assert "it is In Queue (ACCEPTED)" in reason(desk, third)


@AFTER_A_NIGHT
def test_what_is_gone_from_the_erp_is_unlinked_first(desk: Desk):
    first, *_ = desk.accept()
    desk.export()
    desk.act_on(desk.exported()[first], "delete")
    for _ in range(2):
        desk.pay()
        desk.clock.advance(minutes=10)

    assert "run unlink-invoice first" in reason(desk, first)


def test_each_refusal_names_its_reason(desk: Desk):
    draft, noted, deleted, *rest = sorted(desk.requisitions())
    desk.set_status(draft, "draft")
    desk.set_status(noted, "approved_as_noted")
    desk.read()

    assert "its status in Procore is Draft" in reason(desk, draft)
    assert "automatic import takes Approved; use send-invoices" in reason(desk, noted)
    assert [each.outcome for each in reprocess(desk, rest[0], str(rest[0]))] == ["READY"]
    with pytest.raises(RefusedError, match="Admin on the Commitments tool"):
        reprocess(desk, deleted, by=APPROVER)
    assert set(desk.states()) == {rest[0]}


def test_without_an_automatic_import_nothing_is_reprocessed(desk: Desk):
    first, *_ = sorted(desk.requisitions())
    desk.set("policy", auto_send_statuses="[]")
    assert "automatic import is off: the policy sends nothing by itself" in reason(desk, first)
    desk.set("policy", auto_send_statuses=json.dumps(["approved"]), skip_projects=json.dumps([only_project(desk)]))

    assert "automatic import is off for this project" in reason(desk, first)
    assert desk.items() == []

"""Procore is told what was decided: locked when sent, confirmed when exported, unlocked when rejected."""

import json
from typing import Any

import pytest
from desk import AFTER_A_NIGHT, AFTER_AN_EXPORT, Desk

from tieout import outbox
from tieout.connectors.base import invoice_key

WRITE = "PATCH /rest/v1.1/requisitions/{id}"


def newest(desk: Desk) -> int:
    return max(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))["id"]


def as_a_user(desk: Desk, invoice_id: int, **fields: Any) -> Any:
    """Somebody else's program changes an invoice through Procore's own API."""
    account = {"client_id": desk.contractor.client_id, "client_secret": desk.contractor.client_secret}
    url = desk.urls["procore"]
    token = desk.control.post(f"{url}/oauth/token", data={"grant_type": "client_credentials", **account}).json()
    row = desk.requisitions()[invoice_id]
    return desk.control.patch(
        f"{url}/rest/v1.1/requisitions/{invoice_id}",
        json={"project_id": row["project_id"], "commitment_id": row["commitment_id"], "requisition": fields},
        headers={
            "authorization": f"Bearer {token['access_token']}",
            "procore-company-id": str(desk.contractor.company_id),
        },
    )


@AFTER_A_NIGHT
def test_what_is_sent_is_locked_by_our_key_and_others_cannot_change_it(desk: Desk):
    desk.night()
    shown = desk.requisitions()

    assert {each: row["origin_id"] for each, row in shown.items()} == {
        each: invoice_key(desk.contractor.company_id, each) for each in shown
    }
    refused = as_a_user(desk, newest(desk), invoice_number="OTHER")
    assert refused.status_code == 422
    assert "synced with ERP" in refused.text
    assert as_a_user(desk, newest(desk), attachments=[]).status_code == 200  # R21


@AFTER_AN_EXPORT
def test_what_is_exported_says_so_in_procore_with_document_and_batch(desk: Desk):
    accepted = desk.export_everything()
    for invoice_id, row in desk.exported().items():
        there = desk.requisition(invoice_id)
        assert json.loads(there["origin_data"]) == {
            "batch": row["Batch_Code"],
            "document": row["Document_ID"],
            "erp": "spectrum",
        }
        assert there["origin_id"] == row["Remarks"]

    assert set(desk.exported()) == set(accepted)


@AFTER_AN_EXPORT
def test_our_own_writes_are_no_change_of_the_invoice(desk: Desk):
    desk.export_everything()
    versions = {item.invoice_id: item.version for item in desk.items()}
    desk.forget_requests()
    desk.night()

    assert {item.invoice_id: item.version for item in desk.items()} == versions
    assert WRITE not in desk.requests("procore")


def test_held_invoices_stay_editable(desk: Desk):
    desk.edit(newest(desk), invoice_number="")
    desk.night()

    assert desk.item(newest(desk)).state == "HELD"
    assert as_a_user(desk, newest(desk), invoice_number="OTHER").status_code == 200


def test_watching_writes_nothing_to_procore(desk: Desk):
    desk.set("export", lock="watch")
    accepted = desk.export_everything()

    assert set(desk.exported()) == set(accepted)
    assert WRITE not in desk.requests("procore")
    assert {row["origin_id"] for row in desk.requisitions().values()} == {None}
    assert outbox.undelivered(desk.ledger) == []


@pytest.mark.parametrize("kind", ["5xx_before", "5xx_after", "reset_before", "reset_after", "truncated"])
def test_what_procore_cannot_take_now_is_delivered_by_the_next_pass(desk: Desk, kind: str):
    desk.read()
    desk.judge()
    desk.fault("procore", "PATCH", kind)
    delivered = desk.deliver()
    assert (delivered.done, delivered.later) == (len(desk.items()) - 1, 1)
    [(number, problem)] = outbox.undelivered(desk.ledger)
    assert number in {item.number for item in desk.items()}
    assert problem.startswith("[Procore Error] ")
    again = desk.deliver()

    assert (again.done, again.later, again.refusals) == (1, 0, ())
    assert None not in {row["origin_id"] for row in desk.requisitions().values()}
    assert outbox.undelivered(desk.ledger) == []


def test_only_the_newest_letter_of_an_invoice_is_delivered(desk: Desk):
    desk.read()
    desk.judge()
    desk.accept()
    desk.export()
    desk.forget_requests()
    desk.deliver()

    assert desk.requests("procore")[WRITE] == len(desk.items())
    assert None not in {row["origin_data"] for row in desk.requisitions().values()}


def test_a_change_that_came_between_our_reading_and_our_lock_is_judged(desk: Desk):
    desk.read()
    desk.judge()
    changed = newest(desk)
    desk.bill_more(changed)
    desk.deliver()
    desk.judge()

    assert (desk.item(changed).state, desk.item(changed).revision) == ("READY", 2)


def test_what_procore_refuses_is_told_and_given_up(desk: Desk):
    desk.read()
    desk.judge()
    projects = {item.project_id for item in desk.items()}
    closed = min(projects)
    desk.play("procore", f"projects/{closed}", {"access": False})
    delivered = desk.deliver()
    there = [item for item in desk.items() if item.project_id == closed]

    assert len(delivered.refusals) == len(there)
    assert all("permission" in each for each in delivered.refusals)
    assert desk.deliver() == outbox.Delivered()

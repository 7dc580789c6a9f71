"""Each right takes what the requirements say (R1 to R4, AM-7), and what is missing is named."""

import json
from itertools import product
from typing import Any

import pytest
from desk import AFTER_A_NIGHT, APPROVER, SENDER, Desk

from tieout import settings
from tieout.decisions import send
from tieout.errors import RefusedError
from tieout.people import rights
from tieout.people.rights import Signature

INTEGRATIONS = ("none", "read_only", "standard", "admin")
PROJECT = 41


def missing(monkeypatch: pytest.MonkeyPatch, right: rights.Right, **person: Any) -> str:
    monkeypatch.setenv("TIEOUT_PEOPLE", json.dumps([{"name": "Kim", **person}]))
    people = settings.read().people
    words = right.missing(people, "Kim")
    assert right.holders(people) == ([] if words else ["Kim"])
    return words


@pytest.mark.parametrize(("level", "pushes"), list(product(INTEGRATIONS, (False, True))))
def test_who_decides_needs_the_permission_and_the_privilege_both(
    monkeypatch: pytest.MonkeyPatch, level: str, pushes: bool
):
    words = missing(monkeypatch, rights.APPROVER, erp_integrations=level, can_push_to_accounting=pushes)
    lacks_permission = level in ("none", "read_only")

    assert bool(words) == (lacks_permission or not pushes)
    assert ("Standard or Admin on ERP Integrations" in words) == lacks_permission
    assert ("Can Push to Accounting" in words) == (not pushes)


@pytest.mark.parametrize(("level", "pushes"), list(product(INTEGRATIONS, (False, True))))
def test_a_payment_sync_by_hand_takes_an_admin_or_an_approver(
    monkeypatch: pytest.MonkeyPatch, level: str, pushes: bool
):
    words = missing(monkeypatch, rights.PAYMENTS, erp_integrations=level, can_push_to_accounting=pushes)

    assert bool(words) == (level != "admin" and not (level == "standard" and pushes))


@pytest.mark.parametrize(
    ("projects", "may"), [([], False), ([PROJECT + 1], False), ([PROJECT, PROJECT + 1], True), ("all", True)]
)
def test_sending_takes_commitments_admin_on_that_project(monkeypatch: pytest.MonkeyPatch, projects: Any, may: bool):
    words = missing(monkeypatch, rights.sender(PROJECT), commitments_admin=projects, erp_integrations="admin")

    refusal = (
        "Kim may not send or retrieve invoices of project 41: Admin on the Commitments tool of project 41 is missing"
    )
    assert words == ("" if may else refusal)


@pytest.mark.parametrize("name", ["", "kim", "Kim ", "Somebody"])
def test_only_a_name_as_it_is_in_the_settings_has_rights(monkeypatch: pytest.MonkeyPatch, name: str):
    missing(monkeypatch, rights.APPROVER, erp_integrations="admin", can_push_to_accounting=True)

    assert "is not an accounting approver: an entry of that name" in rights.APPROVER.missing(
        settings.read().people, name
    )


@AFTER_A_NIGHT
def test_who_may_not_send_sends_nothing(desk: Desk):
    invoice_id = desk.items("READY")[0].invoice_id
    project_id, before = desk.item(invoice_id).project_id, desk.item(invoice_id)
    with pytest.raises(RefusedError, match=f"{APPROVER} may not send or retrieve invoices of project {project_id}"):
        send.send(desk.ledger, desk.basis, project_id, [invoice_id], Signature(APPROVER), desk.office)

    assert desk.item(invoice_id) == before
    [answer] = send.send(desk.ledger, desk.basis, project_id, [invoice_id], Signature(SENDER), desk.office)
    assert answer.invoice_id == invoice_id

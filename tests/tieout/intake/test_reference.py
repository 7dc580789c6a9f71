"""What judging looks up is read where something waits for it, and never taken over when it cannot be right."""

import sqlite3

import pytest
from desk import Desk

from tieout.errors import ContractError
from tieout.intake import reference


def newest(desk: Desk) -> int:
    return max(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))["id"]


@pytest.mark.sandbox(projects=2)
def test_a_policy_passes_projects_over(desk: Desk):
    projects = sorted({row["project_id"] for row in desk.requisitions().values()})
    desk.set("policy", skip_projects=f"[{projects[0]}]")

    assert projects[0] not in reference.list_projects(desk.ledger, desk.procore, desk.office)
    desk.night()
    assert {item.project_id for item in desk.items()} == {projects[1]}


@pytest.mark.sandbox(projects=2)
def test_books_are_read_only_where_something_waits(desk: Desk):
    desk.export_everything()
    desk.forget_requests()
    desk.night()
    quiet = desk.requests("procore")
    desk.bill_more(newest(desk))
    desk.forget_requests()
    desk.night()

    assert "GET /rest/v1.0/vendors" not in quiet
    assert "GET /rest/v1.0/work_order_contracts" not in quiet
    assert desk.requests("procore")["GET /rest/v1.0/work_order_contracts"] == 1  # of the one project


def test_master_data_that_belongs_to_nothing_is_left_out_and_told_until_it_is_mended(desk: Desk):
    desk.read()
    stray = {"vendor_code": "NOBODY", "number": "STRAY-1", "job": desk.contractor.books.jobs[0].number}
    desk.play("spectrum", "subcontracts", stray)
    for _ in range(2):
        [told] = reference.read_reference(desk.ledger, desk.erp, desk.office)
        assert "subcontract STRAY-1 belongs to vendor 'NOBODY', which is not there" in told

    assert "STRAY-1" not in {each.number for each in desk.basis.reference.subcontracts}
    assert len(desk.basis.reference.subcontracts) == len(desk.contractor.books.subcontracts)

    desk.play("spectrum", "vendors", {"code": "NOBODY", "name": "Nobody"})

    assert reference.read_reference(desk.ledger, desk.erp, desk.office) == []
    assert "STRAY-1" in {each.number for each in desk.basis.reference.subcontracts}


def test_master_data_that_comes_without_vendors_is_not_taken_over(desk: Desk):
    desk.read()
    known = desk.basis.reference
    with sqlite3.connect(desk.folder / "spectrum.sqlite") as connection:
        connection.execute("DELETE FROM VN_VENDOR_MASTER")

    with pytest.raises(ContractError, match="there are no vendors"):
        reference.read_reference(desk.ledger, desk.erp, desk.office)
    assert desk.basis.reference == known

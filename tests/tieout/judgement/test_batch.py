"""What Procore shows is judged many at once or one alone, and again when what it was judged by changes."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from builders import an_office
from desk import AFTER_A_NIGHT, Desk

from tieout import opening
from tieout.errors import SettingsError
from tieout.intake import invoices
from tieout.judgement import batch
from tieout.ledger import states
from tieout.ledger.items import Item


def newest(desk: Desk) -> int:
    """Return the newest invoice of a commitment: a change of another one would break the one after it."""
    return max(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))["id"]


@pytest.mark.sandbox(projects=4, invoices=60, troubles=True, lines=None)
def test_what_is_held_is_judged_again_when_what_it_was_judged_by_is_mended(desk: Desk):
    """A mapping, master data or a change order is mended; the invoices themselves are not touched."""
    desk.night()
    by_cause = {item.cause: item for item in desk.items("HELD")}
    desk.clock.advance(days=1)

    unmapped = by_cause["vendor-unmapped"]
    rows = [*desk.contractor.mapping_rows, vendor_row(desk, unmapped.invoice_id)]
    desk.write_mapping(rows)
    inactive = by_cause["vendor-inactive"]
    desk.play("spectrum", "vendors", {"code": desk_vendor(desk, inactive.invoice_id), "status": "A"})
    for cause in ("subcontract-unmapped", "phase-unmapped", "cost-type-unmapped", "change-order-unapproved"):
        desk.edit(by_cause[cause].invoice_id, repair=True)
    activate_phases(desk, by_cause["coding-not-in-erp"])
    mended = {
        by_cause[cause].invoice_id: "READY"
        for cause in (
            "vendor-unmapped",
            "vendor-inactive",
            "subcontract-unmapped",
            "phase-unmapped",
            "cost-type-unmapped",
            "change-order-unapproved",
            "coding-not-in-erp",
        )
    }
    before = desk.states()
    desk.night()

    assert {key: state for key, state in desk.states().items() if state != before[key]} == mended
    assert [key for key in mended if desk.requisition(key)["origin_id"] is None] == []


def vendor_row(desk: Desk, invoice_id: int) -> dict[str, str]:
    name = desk.requisition(invoice_id)["vendor_name"]
    vendor_id = desk.requisition(invoice_id)["vendor_id"]
    contract = next(each for each in desk.contractor.commitments if each["vendor"]["id"] == vendor_id)
    code = next(
        each.vendor_code
        for each in desk.contractor.books.subcontracts
        if each.number == (contract["origin_code"] or contract["number"])
    )
    assert name
    return {"kind": "vendor", "procore": str(vendor_id), "job": "", "erp": code, "valid_from": "2020-01-01"}


def desk_vendor(desk: Desk, invoice_id: int) -> str:
    item = desk.item(invoice_id)
    mapping = desk.basis_of(item.project_id).mapping(item.project_id, desk.clock().date())
    code = mapping.vendor(desk.requisition(invoice_id)["vendor_id"])
    assert code
    return code


def activate_phases(desk: Desk, item: Item) -> None:
    """Accounting adds the combinations of job, phase and cost type that the reasons name."""
    names = [each.numbers for each in item.reasons if each.rule == "coding-not-in-erp"]
    rows = [{"job": x["job"], "phase_code": x["phase"], "cost_type": x["cost_type"], "status": "A"} for x in names]
    desk.play("spectrum", "phases", rows)


@AFTER_A_NIGHT
def test_an_invoice_deleted_in_procore_is_taken_back_by_its_retry(desk: Desk):
    desk.night()
    desk.accept()
    gone = newest(desk)
    desk.play("procore", f"requisitions/{gone}", method="DELETE")
    invoices.refetch_one(desk.ledger, desk.procore, gone, desk.office)

    assert batch.rejudge_one(desk.ledger, desk.basis, gone, desk.office).state == "RETRIEVED"
    desk.night()
    assert gone not in desk.exported()


@AFTER_A_NIGHT
def test_a_single_retry_of_a_changed_invoice_asks_for_a_new_acceptance(desk: Desk):
    desk.night()
    desk.accept()
    changed = newest(desk)
    desk.bill_more(changed)
    invoices.refetch_one(desk.ledger, desk.procore, changed, desk.office)
    item = batch.rejudge_one(desk.ledger, desk.basis, changed, desk.office)

    assert (item.state, item.revision) == (states.READY, 2)


def test_a_project_of_which_no_commitments_were_read_stops_no_other(desk: Desk):
    desk.fault("procore", "GET .*work_order_contracts", "5xx_before", status=403)
    desk.read()
    projects = {row["project_id"] for row in desk.requisitions().values()}
    [unread] = projects - {*desk.projects}

    with pytest.raises(SettingsError, match=f"project {unread}: its commitments were never read"):
        batch.judge_projects(desk.ledger, desk.basis, sorted(projects), desk.office)

    assert {item.project_id for item in desk.items()} == projects - {unread}


def test_the_same_projects_judged_twice_at_the_same_time_come_to_no_harm(desk: Desk):
    desk.read()
    basis, projects = desk.basis, desk.projects

    def judge(project_ids: list[int]) -> None:
        with opening.open_ledger(an_office()) as ledger:
            batch.judge_projects(ledger, basis, project_ids, desk.office)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(judge, [*([each] for each in projects), projects, projects]))

    assert set(desk.states().values()) == {"READY"}
    assert {item.revision for item in desk.items()} == {1}
    assert len(desk.items()) == len(desk.requisitions())
    assert desk.audit() == []


def test_one_number_on_two_commitments_of_a_vendor_is_held_unless_the_policy_tells_them_apart(desk: Desk):
    rows = sorted(desk.requisitions().values(), key=lambda row: row["id"])
    first, other = rows[0], next(row for row in rows if row["commitment_id"] != rows[0]["commitment_id"])
    desk.edit(other["id"], invoice_number=first["invoice_number"], vendor_id=first["vendor_id"])
    desk.night()
    assert desk.item(other["id"]).reasons[0].rule == "number-duplicate"

    desk.set("policy", invoice_number="with_commitment")
    desk.read()
    desk.judge()
    assert "number-duplicate" not in [each.rule for each in desk.item(other["id"]).reasons]

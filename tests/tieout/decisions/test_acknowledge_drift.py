"""An approver lets a difference stand, and it is silent until something else changes."""

import pytest
from desk import AFTER_AN_EXPORT, APPROVER, Desk
from ledgers import ON_BOTH_DATABASES

from data_contracts.reference import Finding
from tieout.decisions import acknowledge_drift
from tieout.errors import RefusedError
from tieout.export import drift, observation
from tieout.people.rights import Signature
from tieout.views.inquiry import timeline

pytestmark = AFTER_AN_EXPORT


def look(desk: Desk) -> dict[str, int]:
    """Read what changed in Procore, then look at both sides of every link."""
    desk.read()
    return observation.observe(desk.ledger, desk.erp, desk.office)


def findings(desk: Desk, invoice_id: int) -> list[Finding]:
    return drift.open_drift(desk.item(invoice_id))


def acknowledge(desk: Desk, invoice_id: int, by: str = APPROVER, reason: str = "agreed with the project") -> None:
    acknowledge_drift.acknowledge(
        desk.ledger, desk.item(invoice_id).company_id, invoice_id, Signature(by), reason, desk.office
    )


def one_of(desk: Desk) -> int:
    return min(desk.exported())


@pytest.mark.parametrize(
    ("by", "reason", "words"),
    [
        ("Pat Lee", "it is fine", "Can Push to Accounting are missing"),
        (APPROVER, "  ", "a reason is needed"),
        (APPROVER, "it is fine", "nothing differs"),
    ],
)
def test_only_an_approver_with_a_reason_lets_something_stand_that_there_is(
    desk: Desk, by: str, reason: str, words: str
):
    first, second, *_ = sorted(desk.exported())
    desk.act_on_ours(first, "edit", fields={"Retention_Amount": "0.01"})
    look(desk)
    which = second if words == "nothing differs" else first

    with pytest.raises(RefusedError, match=words):
        acknowledge(desk, which, by, reason)
    assert findings(desk, first) != []


@ON_BOTH_DATABASES
def test_what_a_person_let_stand_stays_silent_until_something_else_changes(desk: Desk):
    first = one_of(desk)
    desk.act_on_ours(first, "edit", fields={"Invoice_Amount": "4321.00"})
    look(desk)
    acknowledge(desk, first)
    acknowledge(desk, first)
    look(desk)

    assert findings(desk, first) == []
    last = timeline(desk.ledger, desk.item(first))[-1]
    assert (last.kind, last.actor, last.facts["reason"]) == ("drift acknowledged", APPROVER, "agreed with the project")
    assert "$4,321.00" in last.facts["differences"][0]

    desk.act_on_ours(first, "edit", fields={"Invoice_Amount": "9999.00"})
    look(desk)
    assert "$9,999.00" in findings(desk, first)[0].message
    desk.act_on_ours(first, "edit", fields={"Invoice_Amount": "4321.00"})
    look(desk)
    assert findings(desk, first) == []
    assert desk.audit() == []


def test_what_was_let_stand_and_put_back_drifts_again_when_it_is_done_again(desk: Desk):
    first = one_of(desk)
    before = desk.act_on_ours(first, "edit", fields={"Invoice_Amount": "4321.00"})
    look(desk)
    acknowledge(desk, first)
    desk.act_on_ours(first, "edit", fields={"Invoice_Amount": before["Invoice_Amount"]})
    look(desk)
    desk.act_on_ours(first, "edit", fields={"Invoice_Amount": "4321.00"})
    look(desk)

    assert len(findings(desk, first)) == 1

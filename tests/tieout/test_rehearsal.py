"""What a form names and nobody knows is refused by a dry run as by the run itself, and nothing was written."""

from collections.abc import Callable

import pytest
from desk import AFTER_A_NIGHT, APPROVER, SENDER, Desk

from tieout import rehearsal
from tieout.decisions import choice, review, settle
from tieout.errors import RefusedError
from tieout.ledger import audit
from tieout.people.rights import Signature

UNKNOWN, TOO_LARGE = 404404, 10**30  # no column of the ledger holds the second
PERSON, ACCOUNTANT = Signature(SENDER), Signature(APPROVER)
BY_INVOICE: dict[str, Callable[[Desk, int, int], object]] = {
    "export": lambda desk, *which: rehearsal.export(desk.ledger, desk.erp, *which, desk.office),
    "settle": lambda desk, *which: rehearsal.settle(desk.ledger, desk.erp, *which, desk.office),
    "refresh": lambda desk, *which: rehearsal.refresh(desk.ledger, desk.erp, desk.procore, *which, desk.office),
    "unlink": lambda desk, *which: rehearsal.unlink(desk.ledger, *which, ACCOUNTANT, "gone", "run", desk.office),
    "acknowledge": lambda desk, *which: rehearsal.acknowledge(desk.ledger, *which, ACCOUNTANT, "agreed", desk.office),
    "confirm": lambda desk, *which: rehearsal.confirm(desk.ledger, *which, ACCOUNTANT, "released", desk.office),
    "examine": lambda desk, *which: settle.examine(desk.ledger, desk.erp, *which, desk.office),
}
BY_PROJECT: dict[str, Callable[[Desk, int], object]] = {
    "exports": lambda desk, project: rehearsal.exports(desk.ledger, desk.erp, [project], desk.office),
    "retry": lambda desk, project: rehearsal.retry(desk.ledger, desk.erp, None, project, None, desk.office),
    "review": lambda desk, project: rehearsal.review(desk.ledger, desk.erp, project, desk.office),
    "send": lambda desk, project: rehearsal.send(desk.ledger, desk.erp, project, [], PERSON, desk.office),
    "reprocess": lambda desk, project: rehearsal.reprocess(desk.ledger, desk.erp, project, ["1"], PERSON, desk.office),
    "retrieve": lambda desk, project: rehearsal.retrieve(desk.ledger, project, [], PERSON, "run", desk.office),
    "reject": lambda desk, project: rehearsal.reject(
        desk.ledger, desk.erp, project, [], ACCOUNTANT, "twice", "run", desk.office
    ),
    "offer": lambda desk, project: review.offer(desk.ledger, "run", project, desk.office),
}


@AFTER_A_NIGHT
@pytest.mark.parametrize("unknown", [UNKNOWN, TOO_LARGE])
@pytest.mark.parametrize("name", BY_INVOICE)
def test_an_invoice_that_nobody_knows_is_refused(desk: Desk, name: str, unknown: int):
    item, before = desk.items()[0], audit.head(desk.ledger)

    with pytest.raises(RefusedError, match=f"invoice {unknown}: tieout never read it .* not the number on the paper"):
        BY_INVOICE[name](desk, item.company_id, unknown)
    with pytest.raises(RefusedError, match=f"it belongs to company {item.company_id}, not to company 1") as refused:
        BY_INVOICE[name](desk, 1, item.invoice_id)
    assert f"invoice {item.invoice_id}" in str(refused.value)
    assert audit.head(desk.ledger) == before


@AFTER_A_NIGHT
@pytest.mark.parametrize("project", [UNKNOWN, 0, TOO_LARGE])
@pytest.mark.parametrize("name", BY_PROJECT)
def test_a_project_that_nobody_knows_is_refused(desk: Desk, name: str, project: int):
    with pytest.raises(RefusedError, match=f"project {project}: Procore never listed it; take the project's number"):
        BY_PROJECT[name](desk, project)


@AFTER_A_NIGHT
def test_to_try_again_an_invoice_that_nobody_knows_is_refused_and_one_that_did_not_fail_is_passed_over(desk: Desk):
    waiting = desk.items("READY")[0].invoice_id

    assert choice.failed(desk.ledger, None, None, [waiting]) == []
    with pytest.raises(RefusedError, match=f"invoice {TOO_LARGE}: tieout never read it"):
        choice.failed(desk.ledger, None, None, [waiting, TOO_LARGE])

"""Whoever changes the ledger behind its back is found: the audit names the row, on both databases."""

from collections.abc import Callable

import pytest
from desk import AFTER_AN_EXPORT, Desk
from ledgers import ON_BOTH_DATABASES, unguarded

from tieout import settings
from tieout.ledger import audit
from tieout.ledger.book import Ledger
from tieout.ledger.database import copy_to

Change = Callable[[Desk], str]


def paid(desk: Desk) -> None:
    """Play on until one invoice is paid and Procore was told."""
    [first, *_] = desk.export_everything()
    desk.post()
    desk.cut_check([first])
    desk.night()


def found_after(desk: Desk, *statements: str) -> list[str]:
    """Change the database as somebody with its password could, and return what the audit says."""
    desk.close()
    with unguarded(settings.read().ledger_url) as connection:
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount > 0, statement
    return desk.audit()


@AFTER_AN_EXPORT
@ON_BOTH_DATABASES
def test_a_life_from_first_sight_to_payment_can_be_derived_again_from_its_events(desk: Desk):
    paid(desk)

    assert audit.rebuild(desk.ledger) == (6, [])
    assert desk.audit() == []


@AFTER_AN_EXPORT
@ON_BOTH_DATABASES
@pytest.mark.parametrize(
    ("what", "statement"),
    [
        ("an amount", "UPDATE item SET gross_minor = gross_minor + 1 WHERE item_id = 2"),
        ("a vendor", "UPDATE item SET vendor_erp = 'MINE' WHERE item_id = 2"),
        ("a batch", "UPDATE item SET batch_code = '20990101' WHERE item_id = 2"),
        ("a document", "UPDATE item SET document_id_erp = '1' WHERE item_id = 2"),
        ("a number of times sent", "UPDATE item SET revision = 9 WHERE item_id = 2"),
        ("a state", "UPDATE item SET state = 'REJECTED' WHERE item_id = 2"),
        ("a lease", "UPDATE item SET lease_token = 7 WHERE item_id = 2"),
        ("what was frozen to be sent", "UPDATE intent SET voucher = '{}' WHERE item_id = 2"),
        ("an intent", "DELETE FROM intent WHERE item_id = 2"),
        ("what Procore showed", "UPDATE snapshot SET body = '{}' WHERE snapshot_id = "
         "(SELECT snapshot_id FROM item WHERE item_id = 2)"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) and "item_id" not in value else "",
)  # fmt: skip
def test_the_audit_names_the_invoice_of_which_somebody_changed(desk: Desk, what: str, statement: str):
    number = desk.ledger.items(item_id=2)[0].number
    found = found_after(desk, statement)

    assert len(found) == 1
    assert found[0].startswith(f"invoice {number} (item 2): ")


@AFTER_AN_EXPORT
@ON_BOTH_DATABASES
def test_a_payment_that_somebody_changed_added_or_removed_is_found(desk: Desk):
    paid(desk)
    [item] = desk.items("PAID", "PART_PAID")
    columns = "item_id, project_id, amount_minor, discount_minor, currency, check_number, paid_on, body, opened_at"
    said = [f"invoice {item.number} (item {item.item_id}): its payments do not match its events"]

    assert found_after(desk, "UPDATE payment SET amount_minor = amount_minor + 1") == said
    assert found_after(desk, "UPDATE payment SET amount_minor = amount_minor - 1") == []
    forged = f"INSERT INTO payment (origin_id, {columns}) SELECT 'forged', {columns} FROM payment"
    assert found_after(desk, forged) == said
    assert found_after(desk, "DELETE FROM payment") == said


@AFTER_AN_EXPORT
@ON_BOTH_DATABASES
def test_commits_that_were_cut_off_are_found_by_a_head_that_was_kept_elsewhere(desk: Desk):
    older = desk.back_up()
    early = audit.head(desk.ledger)
    paid(desk)
    late = audit.head(desk.ledger)

    assert audit.verify(desk.ledger, early) == audit.verify(desk.ledger, late) == []
    with Ledger(older) as cut:
        assert audit.verify(cut, early) == []
        assert audit.verify(cut, late) == [
            f"the commit that was kept as {late} is not there: commits were cut off, or it is another ledger"
        ]


@AFTER_AN_EXPORT
def test_a_copy_made_while_work_goes_on_is_a_whole_ledger(desk: Desk):
    copy = desk.folder / "copy.sqlite"
    with desk.ledger.reading():
        copy_to(settings.read().ledger_url, copy)
    desk.post()
    desk.night()

    with Ledger(f"sqlite:///{copy}") as ledger:
        assert {item.state for item in ledger.items()} == {"EXPORTED"}
        assert audit.verify(ledger) == []

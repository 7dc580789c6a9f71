"""What became of an invoice whose answer was lost is settled by looking, never by guessing."""

from concurrent.futures import ThreadPoolExecutor

from desk import AFTER_A_NIGHT, NIGHT, Desk

from tieout import opening, settling
from tieout.ledger.intents import live_intents
from tieout.reporting import timeline

ENTER = "POST /vendor/invoice"


def uncertain(desk: Desk) -> list[int]:
    """Accept everything and lose the request on the way; return the invoices."""
    desk.night()
    accepted = desk.accept()
    desk.fault("spectrum", ENTER, "reset_before")
    desk.export()
    assert set(desk.states().values()) == {"UNCERTAIN"}
    return accepted


def enter(desk: Desk, invoice_id: int, **changes: str) -> None:
    with desk.ledger.reading() as connection:
        [intent] = live_intents(connection, [desk.item(invoice_id)]).values()
    desk.enter({**desk.erp.preview(intent.voucher), **changes})


@AFTER_A_NIGHT
def test_the_same_look_twice_is_one_look(desk: Desk):
    [first, *_] = uncertain(desk)
    length = len(timeline(desk.ledger, desk.item(first)))
    for _ in range(3):
        desk.settle()

    assert desk.states()[first] == "UNCERTAIN"
    assert len(timeline(desk.ledger, desk.item(first))) == length  # looking again is no event


@AFTER_A_NIGHT
def test_some_are_found_and_the_others_sent_again(desk: Desk):
    accepted = uncertain(desk)
    enter(desk, accepted[0])
    desk.settle()
    assert desk.states()[accepted[0]] == "EXPORTED"
    desk.clock.advance(seconds=121)
    desk.night()
    desk.night()

    assert set(desk.exported()) == set(accepted)
    assert set(desk.states().values()) == {"EXPORTED"}


@AFTER_A_NIGHT
def test_what_is_found_with_other_figures_waits_for_a_person_and_says_so_once(desk: Desk):
    accepted = uncertain(desk)
    enter(desk, accepted[0], Retention_Amount="0.00")
    for _ in range(3):
        desk.clock.advance(days=1)
        desk.night()
    looked = [
        each for each in timeline(desk.ledger, desk.item(accepted[0])) if each.facts.get("found", "").startswith("[")
    ]

    assert desk.states()[accepted[0]] == "UNCERTAIN"
    assert len(looked) == 1
    assert '"retention":"0.00"' in looked[0].facts["found"]
    assert set(desk.exported()) == set(accepted)


@AFTER_A_NIGHT
def test_a_change_in_procore_waits_until_the_fate_in_the_erp_is_known(desk: Desk):
    accepted = uncertain(desk)
    rows = desk.requisitions()
    changed = max(accepted, key=lambda each: (rows[each]["number"], each))
    enter(desk, changed)
    desk.bill_more(changed)
    desk.read()
    desk.judge()
    assert desk.states()[changed] == "UNCERTAIN"
    desk.settle()
    desk.night()

    assert (desk.states()[changed], desk.item(changed).revision) == ("EXPORTED", 1)


@AFTER_A_NIGHT
def test_what_changed_while_it_was_uncertain_and_is_not_there_needs_a_new_acceptance(desk: Desk):
    accepted = uncertain(desk)
    rows = desk.requisitions()
    changed = max(accepted, key=lambda each: (rows[each]["number"], each))
    before = desk.item(changed).gross
    desk.bill_more(changed, "70.00")
    desk.settle()
    desk.clock.advance(seconds=121)
    desk.night()
    assert (desk.states()[changed], desk.item(changed).revision) == ("READY", 2)
    desk.accept()
    desk.night()

    assert set(desk.exported()) == set(accepted)
    assert float(desk.exported()[changed]["Invoice_Amount"]) == float(before + 70)


@AFTER_A_NIGHT
def test_two_that_settle_at_the_same_time_come_to_no_harm(desk: Desk):
    accepted = uncertain(desk)
    for each in accepted[:3]:
        enter(desk, each)

    def settle(_: int) -> None:
        with opening.open_ledger() as ledger, opening.open_erp() as erp:
            settling.release_expired(ledger, erp, desk.clock, NIGHT)
            settling.settle_uncertain(ledger, erp, desk.clock, NIGHT)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(settle, range(8)))

    assert {desk.states()[each] for each in accepted[:3]} == {"EXPORTED"}
    assert {desk.states()[each] for each in accepted[3:]} == {"UNCERTAIN"}
    assert desk.audit() == []


@AFTER_A_NIGHT
def test_what_was_exported_keeps_its_warnings_and_loses_its_failure(desk: Desk):
    accepted = uncertain(desk)
    enter(desk, accepted[0])
    desk.settle()
    item = desk.item(accepted[0])

    assert (item.cause, item.lease_until) == ("", None)
    assert {each.severity for each in item.reasons} <= {"warn"}
    assert item.batch_code == "20260307"

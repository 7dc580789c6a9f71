"""The badge, the message and the tags of a run say how its invoice stands and what to do."""

from builders import CHANGED, REASON, an_item

from tieout.export.drift import TWO
from tieout.ledger import states
from tieout.views.standing import DRIFTED, FAILING, SETTLED, Standing, badge_of, in_brief, standing_of, tags_of
from tieout.views.story import explanation
from tieout.wording import Places


def test_the_message_says_what_is_wrong_what_to_do_and_whose_move_it_is():
    message = standing_of(an_item()).message

    lines = message.splitlines()
    assert lines[:2] == ["Vendor ACME01 is inactive in Spectrum.", "What to do: Reactivate the vendor."]
    assert "Who should act: bookkeeper." in lines
    assert "press Retry" in message


def test_the_message_says_where_to_click_in_both_systems():
    places = Places("Accounts Payable > Data Entry", "https://procore.example/{project}/{commitment}/{invoice}")

    lines = standing_of(an_item(commitment_id=7), places).message.splitlines()

    assert lines[-3:-1] == [
        "In Procore: https://procore.example/41/7/1042",
        "In Spectrum: Accounts Payable > Data Entry",
    ]


def test_the_message_of_an_exported_one_says_where_accounting_finds_it():
    item = an_item(state=states.EXPORTED, batch_code="20260912")

    assert standing_of(item, Places("Accounts Payable > Data Entry > Vendor Invoices")) == Standing(
        "COMPLETED",
        "Exported",
        "Exported in batch 20260912; in the ERP under Accounts Payable > Data Entry > Vendor Invoices.",
    )


def test_a_message_stays_short_however_many_reasons_there_are():
    item = an_item(reasons=[REASON.model_copy(update={"message": "wrong " * 200})] * 50)

    assert len(standing_of(item).message) <= 2_000
    assert standing_of(item).message.endswith("All figures are on the Artifacts tab.")


def test_a_state_has_a_name_in_prefect():
    assert set(FAILING) | set(SETTLED) == set(states.ALL)


def test_what_was_changed_after_the_export_is_an_item_that_says_what_differs_and_what_to_do():
    item = an_item(state=states.POSTED, cause="", drifted=[CHANGED])

    standing, story = standing_of(item), explanation(item)

    assert (standing.type, standing.name) == ("FAILED", DRIFTED)
    assert standing.message.splitlines()[:2] == [f"{CHANGED.message}.", "What to do: Have it put back in Spectrum."]
    assert tags_of(item)[2:] == ("cause:drift",)
    assert in_brief(item) == CHANGED.message
    assert "## Drifted: changed-in-erp" in story
    assert "| gross | $12,500.00 → $13,000.00 |" in story


def test_one_invoice_that_is_twice_in_the_erp_has_a_tag_of_its_own():
    item = an_item(state=states.POSTED, cause="", drifted=[CHANGED.model_copy(update={"rule": TWO})])

    assert tags_of(item)[2:] == ("cause:drift", "cause:two-in-erp")


def test_what_drifted_before_it_was_unlinked_is_no_item_any_more():
    assert badge_of(an_item(state=states.UNLINKED, drifted=[CHANGED])) is None

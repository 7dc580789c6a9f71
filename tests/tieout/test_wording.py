"""A name can be printed and stays words, whatever somebody typed into it."""

from builders import an_item
from hypothesis import given
from hypothesis import strategies as st

from tieout.views.standing import tags_of
from tieout.views.story import explanation
from tieout.wording import run_name


def test_an_item_is_called_by_number_vendor_amount_and_project():
    assert run_name(an_item()) == "INV-1042 · Acme Concrete · $12,500.00 · Riverside Tower"
    assert tags_of(an_item()) == ("project:Riverside Tower", "erp:spectrum", "cause:vendor-inactive")


def test_control_characters_and_markup_in_names_stay_words():
    item = an_item(vendor="Acme\x00\n|<script>", project="🏗 Tower\t2")

    assert "\x00" not in run_name(item) + "".join(tags_of(item))
    assert "<script>" not in explanation(item)
    assert "\\|" in explanation(item)


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_name_gives_a_run_name_that_can_be_printed(vendor: str, project: str):
    name = run_name(an_item(vendor=vendor, project=project))

    assert name.isprintable()
    assert len(name) < 300

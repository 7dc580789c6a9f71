"""How text from outside is cleaned before it is stored or shown."""

import pytest

from data_contracts.text import plain, without_controls


@pytest.mark.parametrize("hidden", ["\x00", "\x1b", "\x85", "\u2028", "\u202e", "\u2066", "\ud800"])
def test_what_cannot_be_seen_becomes_a_space(hidden: str):
    text = f" Level{hidden}2 "

    assert (plain(text), without_controls(text)) == ("Level 2", "Level 2")


def test_a_text_is_shown_on_one_line_and_no_longer_than_asked():
    assert plain("Concrete,\n  second\tfloor") == "Concrete, second floor"
    assert (plain("x" * 500), plain("x" * 501)) == ("x" * 500, "x" * 499 + "…")


def test_a_name_keeps_its_inner_blanks_and_the_characters_of_every_plane():
    assert without_controls("Śliwa  & 𠮷野 Sons ") == "Śliwa  & 𠮷野 Sons"

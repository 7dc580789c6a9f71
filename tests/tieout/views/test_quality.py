"""What the rules found is kept as data, tells a trend, and is shown on pages that a failure to write does not stop."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from ledgers import ON_BOTH_DATABASES
from sqlalchemy import text

from data_contracts.quality import Day
from data_contracts.rules import RULES
from tieout.judgement import rulebook
from tieout.views import quality
from tieout.views.quality import trends
from tieout.views.run_report import RunReport

FIRST_DAY = date(2026, 3, 4)
WHEN = datetime(2026, 3, 4, 6, tzinfo=UTC)


def rows(desk: Desk, query: str) -> list[tuple[Any, ...]]:
    with desk.ledger.reading() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def newest(desk: Desk) -> int:
    """An invoice that no other one continues."""
    return int(max(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))["id"])


@pytest.fixture
def another_release(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """From here on the code that judges reads otherwise."""
    monkeypatch.setattr(rulebook, "APART", ())
    rulebook.rules_version.cache_clear()
    yield
    rulebook.rules_version.cache_clear()


@ON_BOTH_DATABASES
def test_each_invoice_that_was_judged_is_kept_with_what_it_broke_and_by_which_rules(desk: Desk):
    blank = newest(desk)
    desk.edit(blank, invoice_number=" ")

    desk.night()

    by = (rulebook.rules_version(), desk.basis.policy_version)
    judged = rows(desk, "SELECT d.invoice_id, j.rules, j.policy FROM judged d JOIN judgement j USING (judgement_id)")
    assert sorted(judged) == [(invoice_id, *by) for invoice_id in sorted(desk.requisitions())]
    broken = rows(desk, "SELECT invoice_id, rule, figure, severity FROM finding WHERE severity <> 'warn'")
    assert broken == [(blank, "number-missing", "number", "hold")]
    [(body,)] = rows(desk, f"SELECT body FROM rules WHERE version = '{by[0]}'")
    assert json.loads(body) == {rule.id: rule.severity for rule in RULES}


def test_what_nothing_changed_for_is_not_judged_and_not_kept_again(desk: Desk):
    desk.night()
    before = rows(desk, "SELECT count(*) FROM judged")

    desk.clock.advance(days=1)
    desk.night()

    assert rows(desk, "SELECT count(*) FROM judged") == before


def test_other_rules_judge_accepted_invoices_again(desk: Desk, request: pytest.FixtureRequest):
    desk.night()
    accepted = desk.accept()
    assert accepted
    request.getfixturevalue("another_release")

    desk.judge()

    again = rows(desk, f"SELECT invoice_id FROM judged JOIN judgement USING (judgement_id) "
                       f"WHERE rules = '{rulebook.rules_version()}'")  # fmt: skip
    assert {invoice_id for (invoice_id,) in again} >= set(accepted)
    assert {desk.item(invoice_id).state for invoice_id in accepted} == {"ACCEPTED"}


@ON_BOTH_DATABASES
def test_a_trend_counts_an_invoice_once_a_day_and_ends_when_the_cause_is_mended(desk: Desk, tmp_path: Path):
    desk.set("quality", folder=tmp_path / "pages")
    blank = newest(desk)
    desk.edit(blank, invoice_number=" ")
    desk.night()
    desk.edit(blank, invoice_number="  ")
    desk.night()
    desk.clock.advance(days=1)
    desk.edit(blank, invoice_number="26-0001")
    desk.night()

    shown = quality.show(desk.ledger, desk.office.settings.quality)

    first, second = shown.days
    assert date.fromisoformat(second).toordinal() - date.fromisoformat(first).toordinal() == 1
    assert shown.judged == 1
    [missing] = [each for each in shown.trends if each.rule == "number-missing"]
    assert missing.counts == (1, 0)
    assert missing.line == "█▁"


def test_a_rule_that_was_not_there_yet_was_not_kept_either():
    known = {"currency": "hold"}
    days = [
        Day(FIRST_DAY, WHEN, 5, known, {("currency", "currency_agrees"): {1: "A", 2: "B"}}),
        Day(FIRST_DAY.replace(day=5), WHEN, 5, {**known, "dates": "hold"}, {("dates", "billed_on"): {3: "C"}}),
    ]

    assert [(each.rule, each.counts) for each in trends(days)] == [("currency", (2, 0)), ("dates", (None, 1))]


def test_an_invoice_that_breaks_two_figures_of_a_rule_counts_once():
    broken = {("dates", "billed_on"): {1: "A"}, ("dates", "period_days"): {1: "A", 2: "B"}}

    assert Day(FIRST_DAY, WHEN, 5, {"dates": "hold"}, broken).count("dates") == 2


def test_the_pages_name_who_broke_what_and_are_written_once(desk: Desk, tmp_path: Path):
    desk.set("quality", folder=tmp_path / "pages")
    blank = newest(desk)
    desk.edit(blank, invoice_number="<script>alert(1)</script>")
    desk.night()

    shown = quality.show(desk.ledger, desk.office.settings.quality)

    assert (shown.page, shown.problem) == (str(tmp_path / "pages" / "trends.html"), "")
    pages = {path: path.read_text(encoding="utf-8") for path in (tmp_path / "pages").rglob("*.html")}
    told = [text for path, text in pages.items() if path.parts[-4:-2] == ("header", shown.days[0])]
    assert len(told) == 1 and "&lt;script&gt;alert(1)&lt;/script&gt; · " in told[0]
    assert not [path for path, text in pages.items() if "<script>alert" in text]
    assert "number-too-long" in pages[tmp_path / "pages" / "trends.html"]
    first_page = pages[tmp_path / "pages" / "trends.html"]
    assert "<td><svg" in first_page.replace("\n", "")
    links = re.findall('href="([^"]+)"', first_page)
    assert {tmp_path / "pages" / link for link in links} == {path for path in pages if path.name == "invoices.html"}
    before = {path: path.stat().st_mtime_ns for path in pages if path.name == "invoices.html"}
    quality.show(desk.ledger, desk.office.settings.quality)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_day_out_of_sight_loses_its_page(desk: Desk, tmp_path: Path):
    desk.set("quality", folder=tmp_path / "pages", days=1)
    desk.night()
    quality.show(desk.ledger, desk.office.settings.quality)
    desk.clock.advance(days=1)
    desk.edit(newest(desk), invoice_number="26-0001")
    desk.night()

    shown = quality.show(desk.ledger, desk.office.settings.quality)

    assert {path.parts[-3] for path in (tmp_path / "pages").rglob("invoices.html")} == set(shown.days)


def test_pages_that_cannot_be_written_stop_nothing(desk: Desk, tmp_path: Path):
    (tmp_path / "a_file").write_text("in the way")
    desk.set("quality", folder=tmp_path / "a_file" / "pages")
    desk.edit(newest(desk), invoice_number=" ")
    desk.night()

    shown = quality.show(desk.ledger, desk.office.settings.quality)

    assert "number-missing" in [each.rule for each in shown.trends]
    report = RunReport("Nightly sync", quality=shown)
    assert report.standing().type == "COMPLETED"
    assert f"The pages were not written: {shown.problem}" in report.markdown()


def test_the_report_of_a_night_plots_each_rule_and_links_to_the_pages(desk: Desk, tmp_path: Path):
    desk.set("quality", folder=tmp_path / "pages", url="https://files.example/quality/")
    desk.edit(newest(desk), invoice_number=" ")
    desk.night()

    told = RunReport("Nightly sync", quality=quality.show(desk.ledger, desk.office.settings.quality)).markdown()

    assert "| number-missing | hold | 1 | `" in told
    assert "[All pages](https://files.example/quality/trends.html)" in told


def test_without_a_judgement_there_is_nothing_to_show(desk: Desk):
    assert quality.show(desk.ledger, desk.office.settings.quality) == quality.Quality()

"""How often each rule was broken, day by day: a plot for the report of a run, and pages for a browser."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from data_contracts.data_docs import page_of, write_docs
from data_contracts.quality import Day
from data_contracts.rules import RULES
from tieout.ledger import judgements
from tieout.ledger.book import Ledger
from tieout.settings import Quality as Section

if TYPE_CHECKING:
    import pygal  # type: ignore[import-untyped]  # it brings no types

_FIRST_PAGE = "trends.html"


@dataclass(frozen=True, slots=True)
class Trend:
    """How many invoices broke one rule on each of some days, oldest first; None where there was no such rule yet."""

    rule: str
    severity: str
    counts: tuple[int | None, ...]

    @property
    def line(self) -> str:
        """Return the counts as a line of small bars, the highest for the worst day."""
        return str(_chart(self.counts).render_sparktext(relative_to=0))

    @property
    def plot(self) -> str:
        """Return the counts as an SVG."""
        inside_a_page = {"is_unicode": True, "disable_xml_declaration": True}
        return str(_chart(self.counts).render_sparkline(width=300, height=40, **inside_a_page))


@dataclass(frozen=True, slots=True)
class Quality:
    """What the rules found on the last days on which anything was judged, and where the pages about it are."""

    days: tuple[str, ...] = ()  # YYYY-MM-DD, oldest first
    judged: int = 0  # invoices, on the last of these days
    trends: tuple[Trend, ...] = ()  # of the rules that were broken, the one of most invoices first
    page: str = ""  # a URL or a path
    problem: str = ""  # why the pages were not written


def show(ledger: Ledger, section: Section) -> Quality:
    """Read how the rules were kept and write the pages about it; a folder that takes no file does not stop this."""
    folder = section.folder
    with ledger.reading() as connection:
        days = judgements.last_days(connection, section.days)
    if not days:
        return Quality()
    found, problem = trends(days), ""
    try:
        write_docs(folder, days)
        (folder / _FIRST_PAGE).write_text(_page(days, found), encoding="utf-8")
    except OSError as error:
        problem = str(error)
    where = f"{section.url.rstrip('/')}/{_FIRST_PAGE}" if section.url else str(folder / _FIRST_PAGE)
    return Quality(tuple(day.on.isoformat() for day in days), days[-1].judged, found, where, problem)


def trends(days: Sequence[Day]) -> tuple[Trend, ...]:
    """Return how often each rule was broken that was broken at all, the one of most invoices first."""
    severities = {rule: severity for day in days for rule, severity in day.severities.items()}
    found = [Trend(rule, severity, tuple(day.count(rule) for day in days)) for rule, severity in severities.items()]
    return tuple(sorted((each for each in found if any(each.counts)), key=lambda each: -sum(filter(None, each.counts))))


def told_of(days: Sequence[str], judged: int) -> str:
    """Say on which days invoices were judged, and how many on the last of them."""
    when = days[0] if len(days) == 1 else f"{len(days)} days, from {days[0]} to {days[-1]}; on the last of them"
    return f"Judged on {when}: {judged} invoices. An invoice counts once a day."


def _chart(counts: Sequence[int | None]) -> "pygal.Bar":
    import pygal  # only the end of a night draws

    chart = pygal.Bar(js=(), min_scale=1)
    chart.add("", [count or 0 for count in counts])
    return chart


def _page(days: Sequence[Day], found: Sequence[Trend]) -> str:
    meant = {rule.id: rule.sentence for rule in RULES}
    rows = [
        f"<tr><td>{escape(each.rule)}<td>{escape(meant.get(each.rule, ''))}<td>{each.severity}"
        f"<td>{each.counts[-1] or 0}<td>{each.plot}"
        for each in found
    ]
    # Great-expectations' own list of them shows nothing where the internet is out of reach.
    links = [
        f'<li>{day.on}: <a href="{page_of("header", day)}">headers</a>, <a href="{page_of("line", day)}">lines</a>'
        for day in reversed(days)
    ]
    told = told_of([day.on.isoformat() for day in days], days[-1].judged)
    return _PAGE.format(told=told, rows="\n".join(rows), links="\n".join(links))


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>How the rules were kept</title>
<style>body {{font-family: sans-serif; margin: 2em}} td, th {{text-align: left; padding: .2em 1em .2em 0}}</style>
<h1>How the rules were kept</h1>
<p>{told} Rules that nothing broke are left out.
<table>
<tr><th>rule<th>what must hold<th>severity<th>last day<th>invoices that broke it, by day
{rows}
</table>
<h2>Every expectation, day by day, with the invoices that broke it</h2>
<ul>
{links}
</ul>
"""

"""What all commands share: how they print, and how they open a ledger that must be there."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from tieout import settings
from tieout.clock import now
from tieout.ledger.book import Ledger
from tieout.ledger.version import require_current
from tieout.office import Office
from tieout.opening import open_ledger
from tieout.progress import Progress

STYLES = {"blue": "dodger_blue1", "green": "green3", "yellow": "yellow3"}
DOT = "●"
_WIDTH = 160  # where nobody says how wide the paper is: a file, a log


def out() -> Console:
    """Return the console on standard output, as it is now."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)


def notes() -> Console:
    """Return the console on standard error: progress and complaints, never what a program reads."""
    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _WIDTH)


@contextmanager
def bar(words: str, hidden: bool = False) -> Iterator[Progress]:
    """Show on a terminal how far it is, as long as one waits; in a pipe or a log nothing.

    Until it is told anything, it only shows that something is going on, and for how long.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    is_hidden = hidden or not sys.stderr.isatty()
    with Bars(
        *columns,
        console=notes(),
        transient=True,
        disable=is_hidden,
        # What prints meanwhile is left alone: a child process would inherit the detour, with a lock that nobody opens.
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bars:
        shown = bars.add_task(words, total=None)
        yield lambda done, whole: bars.update(shown, completed=done, total=whole)


def print_json(facts: Any) -> None:
    """Print facts as JSON on standard output."""
    print(json.dumps(facts, indent=2, ensure_ascii=False, default=str), flush=True)


def open_office() -> Office:
    """Return what a command works by: the settings as they stand now, the one clock, and nobody in particular."""
    return Office(settings.read(), now, "command")


def readable_ledger(office: Office) -> Ledger:
    """Open the ledger; SettingsError when it is not there or of another version."""
    require_current(office.settings.ledger_url)
    return open_ledger(office)


def plain(value: object) -> Text:
    """Return foreign words as a cell: no markup, and nothing that would steer a terminal."""
    text = str(value)
    return Text("".join(each if each.isprintable() or each == "\n" else " " for each in text))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table; a column whose heading ends in `>` is set to the right."""
    made = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        is_number = column.endswith(">")
        justify: Literal["right", "left"] = "right" if is_number else "left"
        made.add_column(column.rstrip(">"), justify=justify, overflow="fold", no_wrap=is_number)
    for row in rows:
        made.add_row(*(each if isinstance(each, Text) else plain(each) for each in row))
    return made


def light(colour: str, words: str = "") -> Text:
    """Return a status icon, followed by words for those who do not see its colour."""
    return Text.assemble((DOT, STYLES[colour]), f" {words or colour}")

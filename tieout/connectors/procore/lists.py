"""Procore's lists, read whole, though pages are clamped, rows move between them and answers come torn."""

import re
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import httpx

from data_contracts.text import plain
from tieout.connectors.procore.settings import SYSTEM
from tieout.connectors.procore.translation import LARGEST_ID, MOST_REASONS
from tieout.connectors.wire import Client, elements, request_id
from tieout.errors import ContractError, TransientError

MOST_PASSES = 3  # over a list whose rows move
MOST_PAGES = 5_000
MOST_SMALLER_PAGES = 100
_FIRST_ID = re.compile(r'\s*\[\s*\{\s*"id"\s*:\s*(\d{1,18})\b')


class Row(NamedTuple):
    """One row of a list: its text as it came and what it says."""

    text: str
    value: dict[str, Any]


class Lost(NamedTuple):
    """A row that cannot be read, and its id where that much could be seen."""

    row_id: int | None
    words: str


class Page(NamedTuple):
    """What one request for a list brought; `problem` says why the rest of it could not be read."""

    rows: dict[int, Row]
    nameless: list[Lost]  # rows without an id
    problem: str | None
    text: str
    size: int | None  # rows of a full page, where stated
    total: int | None  # rows of the whole list, where stated
    has_next: bool | None  # where stated

    @property
    def says_nothing(self) -> bool:
        """Whether no header tells about other pages: then the endpoint may not page at all."""
        return self.total is None and self.has_next is None

    def is_last(self, seen: int) -> bool:
        """Whether nothing follows, `seen` rows of the list having been read; headers may be absent."""
        if self.total is not None and seen >= self.total:
            return True
        if self.has_next is not None:
            return not self.has_next
        count = len(self.rows) + len(self.nameless)
        return self.problem is None and count < (self.size or 1)


class Listing(NamedTuple):
    """A whole list, each row once, and what could not be read of it."""

    rows: dict[int, Row]
    lost: list[Lost]


def _split(response: httpx.Response) -> Page:
    """Take a page apart as far as it can be read."""
    text, problem = response.content.decode(errors="replace"), None
    rows: dict[int, Row] = {}
    nameless: list[Lost] = []
    try:
        for each in elements(text):
            row_id = each.value.get("id") if isinstance(each.value, dict) else None
            if type(row_id) is int and 0 <= row_id <= LARGEST_ID:
                rows[row_id] = Row(each.text, each.value)
            else:
                nameless.append(Lost(None, f"a row has no usable id: {plain(each.text, 80)}"))
    except ValueError as error:
        problem = str(error)
    link = response.headers.get("Link", "").strip()
    has_next = 'rel="next"' in link if link else None
    size, total = _stated_number(response, "Per-Page"), _stated_number(response, "Total")
    return Page(rows, nameless, problem, text, size, total, has_next)


def _stated_number(response: httpx.Response, header: str) -> int | None:
    text = response.headers.get(header, "").strip()
    return int(text) if re.fullmatch(r"\d{1,9}", text) else None


_Reader = Callable[[int, int], Page]


class Lists:
    """The lists of one company; remembers how large each endpoint lets a page be."""

    def __init__(self, api: Client, per_page: int) -> None:
        """Read nothing yet."""
        self._api, self._per_page = api, per_page
        self._largest_page: dict[str, int] = {}

    def read(
        self, path: str, params: Mapping[str, Any], document: str, hints: Mapping[int, str] | None = None
    ) -> Listing:
        """Return every row of a list once, though rows move between pages while it is read."""
        rows: dict[int, Row] = {}
        lost: dict[Lost, None] = {}
        for _ in range(MOST_PASSES):
            total = self._pass(partial(self.read_page, path, params, document, hints=hints), path, rows, lost)
            if total is None or len(rows) + len(lost) >= total:
                return Listing(rows, [each for each in lost if each.row_id not in rows])
        missing = f"only {len(rows) + len(lost)} of {total} rows came"
        return Listing(rows, [*lost, Lost(None, missing)])

    def read_whole(
        self, path: str, params: Mapping[str, Any], document: str, hints: Mapping[int, str] | None = None
    ) -> dict[int, Row]:
        """Return a list of which no row may be missing."""
        found = self.read(path, params, document, hints)
        if found.lost:
            raise ContractError(SYSTEM, document, "; ".join(words for _, words in found.lost[:MOST_REASONS]))
        return found.rows

    def read_page(
        self,
        path: str,
        params: Mapping[str, Any],
        document: str,
        number: int,
        size: int,
        hints: Mapping[int, str] | None = None,
    ) -> Page:
        """Read one page and remember how large the server lets it be."""
        query = [*_pairs(params), ("page", number), ("per_page", size)]
        response = self._api.read("GET", path, document, hints=hints, params=query)
        page = _split(response)
        if page.problem and not page.text.lstrip().startswith("["):
            raise TransientError(SYSTEM, document, page.problem, request_id(response))
        if page.size and page.size < size:
            self._largest_page[path] = page.size
        return page

    def page_size(self, path: str) -> int:
        """Return how many rows a page of this list may have, as far as is known."""
        return min(self._per_page, self._largest_page.get(path, self._per_page))

    def _pass(self, read: _Reader, path: str, rows: dict[int, Row], lost: dict[Lost, None]) -> int | None:
        """Read a list once from front to back and return how many rows it is said to have."""
        seen: set[int] = set()
        stale = 0  # pages in a row that brought nothing new
        size = self.page_size(path)
        for number in range(1, MOST_PAGES):
            page = read(number, size)
            size = min(size, page.size or size)
            found, unread = page.rows, page.nameless
            if page.problem:
                salvaged = _salvage(read, number, size)
                found, unread = found | salvaged.rows, salvaged.lost
            stale = stale + 1 if found.keys() <= seen and not unread else 0
            seen |= found.keys()
            rows |= found
            lost |= dict.fromkeys(unread)
            # One such page may be a mere repetition where headers promise more; two are the end.
            if page.is_last(len(seen) + len(lost)) or stale == (1 if page.says_nothing else 2):
                return page.total
        raise TransientError(SYSTEM, path, f"the list has no end after {MOST_PAGES} pages")


def _pairs(params: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the query of these parameters; one with several values is named for each of them."""
    return [(name, each) for name, value in params.items() for each in (value if type(value) is tuple else (value,))]


def _salvage(read: _Reader, number: int, size: int) -> Listing:
    """Read a page again in smaller pages, so that no more is lost than the rows that cannot be read."""
    rows: dict[int, Row] = {}
    lost: list[Lost] = []
    waiting = deque(_smaller(number, size))
    for _ in range(MOST_SMALLER_PAGES):
        if not waiting:
            return Listing(rows, lost)
        number, size = waiting.popleft()
        page = read(number, size)
        rows |= page.rows
        lost += page.nameless
        if not page.problem and len(page.rows) + len(page.nameless) < size:
            return Listing(rows, lost)  # the list ends here
        if page.problem and size > 1:
            waiting.extendleft(reversed(_smaller(number, size)))
        elif page.problem:
            first_id = _FIRST_ID.match(page.text)
            lost.append(Lost(int(first_id[1]) if first_id else None, f"a row cannot be read: {page.problem}"))
    raise TransientError(SYSTEM, "a list", f"too many unreadable rows: {lost[0].words if lost else 'no row is whole'}")


def _smaller(number: int, size: int) -> list[tuple[int, int]]:
    """Return the smaller pages, each (number, size), that cover a page."""
    parts = next(factor for factor in range(2, size + 1) if size % factor == 0) if size > 1 else 1
    return [((number - 1) * parts + part + 1, size // parts) for part in range(parts)]

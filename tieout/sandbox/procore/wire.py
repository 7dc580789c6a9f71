"""How the stand-in Procore reads a request and words an answer: parameters, filters, pages and refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tieout.sandbox.contractor.documents import Document
from tieout.sandbox.procore.store import PROJECT, Store, dumps, normal_instant

MOST_MONEY = Decimal(10) ** 15
Pairs = list[tuple[str, str]]


class Refusal(Exception):
    """An answer that is an error; the body has one of the shapes that Procore's errors have."""

    def __init__(self, status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, body)
        self.status, self.body, self.headers = status, body, dict(headers or {})


def bad_request(sentence: str) -> Refusal:
    return Refusal(400, {"errors": sentence})


def malformed(message: str, fields: str = "") -> Refusal:
    body = {"code": 400, "message": message, "fields": fields, "reason": "bad_request", "error": "Bad Request"}
    return Refusal(400, body)


def forbidden(sentence: str) -> Refusal:
    return Refusal(403, {"errors": [sentence]})


def not_found(what: str) -> Refusal:
    return Refusal(404, {"message": f"{what} not found", "exception": "ActiveRecord::RecordNotFound"})


def invalid(**messages: str) -> Refusal:
    """422, each field with its message; `base` for what concerns the whole record."""
    return Refusal(422, {"errors": {name: [message] for name, message in messages.items()}})


def is_amount(value: Any) -> bool:
    """Whether it is money as Procore takes it: text, never a number, and of a size that exists."""
    try:
        return isinstance(value, str) and abs(Decimal(value)) < MOST_MONEY
    except InvalidOperation:  # not a number at all, or one that cannot be compared
        return False


@dataclass
class Answer:
    """A good answer: text that is already JSON, or something to be written as JSON."""

    content: Any = None
    text: str | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        if self.text is not None:
            return self.text.encode()
        if self.status == 204:
            return b""
        return dumps(self.content).encode()


@dataclass
class Quirks:
    """How the server misbehaves on purpose while it pages, and what it will not take."""

    repeat_page: bool = False  # the second page is the first once more
    duplicate_ids: bool = False  # every page begins with the last row of the one before
    endless: bool = False  # whatever page is asked for, it is the first, and there is always a next
    refuse_negative_payments: bool = False


@dataclass
class Call:
    """One request, and what it may touch."""

    store: Store
    quirks: Quirks
    url: str
    path: dict[str, str]
    query_text: str
    body: Document

    def __post_init__(self) -> None:
        self.query: Pairs = parse_qsl(self.query_text, keep_blank_values=True)

    def value(self, name: str) -> str | None:
        return next((value for key, value in self.query if key == name), None)

    def path_id(self, name: str = "id") -> int:
        return int(self.path[name])

    def filters(self, name: str) -> list[str]:
        """The values of `filters[name]`, however the client wrote a list."""
        found = [value for key, value in self.query if key in (f"filters[{name}]", f"filters[{name}][]")]
        if len(found) == 1 and found[0].startswith("["):
            try:
                return [str(value) for value in json.loads(found[0])]
            except ValueError as error:
                raise malformed(f"filters[{name}] is not a list", name) from error
        return found

    def project_id(self) -> int:
        """The project that the query or the body names, which the service account must be on."""
        given = self.path.get("project_id") or self.value("project_id") or self.body.get("project_id")
        try:
            project_id = int(given)  # type: ignore[arg-type]  # None and nonsense end in the refusal below
        except (TypeError, ValueError) as error:
            raise not_found("Project") from error
        if project_id in self.store.get("forbidden", []):
            raise forbidden("You do not have permission to access this project.")
        if self.store.find(PROJECT, project_id) is None:
            raise not_found("Project")
        return project_id

    def company_id(self) -> int:
        return int(self.store.get("contractor")["company_id"])

    def wrapped(self, name: str) -> Document:
        """The part of the body under the record's own name."""
        inner = self.body.get(name)
        if not isinstance(inner, dict) or not inner:
            raise bad_request(f"param is missing or the value is empty or invalid: {name}")
        return inner


def equals(call: Call, column: str, values: list[Any], where: list[str], is_number: bool = False) -> None:
    """Add the condition of an equality filter."""
    given = call.filters(column)
    if not given:
        return
    if is_number and not all(value.isdigit() for value in given):
        raise malformed(f"filters[{column}] must be a number", column)
    where.append(f"{column} in ({','.join('?' * len(given))})")
    values += [int(value) if is_number else value for value in given]


def between(call: Call, column: str, values: list[Any], where: list[str]) -> None:
    """Add the condition of a range filter, `from...to`, both ends included."""
    for given in call.filters(column):
        parts = given.split("...")
        try:
            low, high = (normal_instant(part.replace(" ", "+")) for part in parts)
        except ValueError as error:
            raise malformed(f"filters[{column}] must be a range of two instants with three dots", column) from error
        where.append(f"{column} between ? and ?")
        values += [low, high]


@dataclass(frozen=True)
class Page:
    number: int
    size: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size


def page_of(call: Call, default: int, maximum: int) -> Page:
    """What page was asked for; more rows than the endpoint gives are quietly fewer."""
    try:
        number, size = int(call.value("page") or 1), int(call.value("per_page") or default)
    except ValueError as error:
        raise malformed("page and per_page must be numbers", "page") from error
    return Page(max(1, number), max(1, min(size, maximum)))


def window(call: Call, page: Page) -> tuple[int, int]:
    """Offset and length of the rows to show, as the quirks of the moment would have it."""
    quirks = call.quirks
    if quirks.endless:
        return 0, page.size
    if quirks.repeat_page and page.number > 1:
        return page.offset - page.size, page.size
    if quirks.duplicate_ids and page.number > 1:
        return page.offset - 1, page.size + 1
    return page.offset, page.size


def page_headers(call: Call, page: Page, total: int) -> dict[str, str]:
    """`Total`, `Per-Page` and the links; there is no `next` on the last page."""
    last = max(1, -(-total // page.size)) + (1 if call.quirks.repeat_page and total > page.size else 0)
    links = {"first": 1, "last": last}
    if page.number > 1:
        links["prev"] = page.number - 1
    if page.number < last or call.quirks.endless:
        links["next"] = page.number + 1
    others = [(key, value) for key, value in call.query if key not in ("page", "per_page")]
    text = ", ".join(
        f'<{call.url}?{urlencode([*others, ("page", number), ("per_page", page.size)])}>; rel="{rel}"'
        for rel, number in links.items()
    )
    return {"Total": str(total), "Per-Page": str(page.size), "Link": text}


def listing(call: Call, texts: list[str], page: Page, total: int) -> Answer:
    return Answer(text="[" + ",".join(texts) + "]", headers=page_headers(call, page, total))

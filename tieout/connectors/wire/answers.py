"""What an answer says: its content, the sentence in an error body, when it was given and under which id."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from data_contracts.text import plain
from tieout.connectors.wire.json_text import parse_text

_TITLE = re.compile(r"<(title|h1)[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_DEEPEST = 8  # no vendor nests an error deeper
_SENTENCES = ("errors", "error", "error_description", "message", "reason", "detail", "details", "fields")


def parse(response: httpx.Response) -> Any:
    """Return the JSON content; ValueError in plain words when it is none."""
    try:
        return parse_text(response.content.decode())
    except UnicodeDecodeError:
        raise ValueError("the answer is not valid UTF-8") from None


def explain(response: httpx.Response) -> str:
    """Return the error body as one plain sentence, whichever of the vendors' shapes it has."""
    try:
        words = "; ".join(dict.fromkeys(_sentences(parse(response))))
    except ValueError:
        words = _text_words(response.content.decode(errors="replace"))
    if response.is_redirect:
        words = f"redirects to {response.headers.get('Location', '?')}; is the address in the settings right?"
    stated = f"HTTP {response.status_code} {response.reason_phrase}".strip()
    if not words:
        return f"{stated}, with no explanation"
    return plain(words if response.is_client_error else f"{stated}: {words}")


def request_id(response: httpx.Response) -> str | None:
    """Return the id under which the vendor logged this request."""
    return plain(response.headers.get("X-Request-Id", ""), 100) or None


def server_time(response: httpx.Response) -> datetime | None:
    """Return the time at which the server says it answered."""
    return http_date(response.headers.get("Date", ""))


def http_date(text: str) -> datetime | None:
    """Return the instant that a header states; None where it states none."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _sentences(body: Any, depth: int = 0, is_fields: bool = False) -> Iterator[str]:
    """Yield the sentences of an error body: a text, a list, known keys, or an object of fields with messages."""
    if isinstance(body, str) and body.strip():
        yield body.strip()
    elif isinstance(body, list) and depth < _DEEPEST:
        for each in body:
            yield from _sentences(each, depth + 1)
    elif isinstance(body, dict) and depth < _DEEPEST:
        spoken = [] if is_fields else [key for key in _SENTENCES if body.get(key)]
        for key in spoken or body:
            for sentence in _sentences(body[key], depth + 1, is_fields=key in ("errors", "fields")):
                yield sentence if spoken else f"{key}: {sentence}"


def _text_words(text: str) -> str:
    """Return what a body that is not JSON says: an HTML page by its title, anything else as it is."""
    if "<" not in text:
        return text
    title = _TITLE.search(text)
    words = plain(_TAG.sub(" ", title[2] if title else text))
    return f"an HTML page titled {words!r}" if title else words

"""The one text that stands for some facts, and its hash."""

import hashlib
import json
from datetime import datetime
from typing import Any

import orjson

_AS_JSON = orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z
_AS_LINE = _AS_JSON | orjson.OPT_APPEND_NEWLINE


def digest_of(*parts: str) -> str:
    """Return the SHA-256 of the parts, each closed by a newline so that no two lists give the same bytes."""
    return hashlib.sha256("\n".join([*parts, ""]).encode(errors="surrogatepass")).hexdigest()


def digest_of_facts(facts: Any) -> str:
    """Return the SHA-256 of the one JSON text that stands for these facts, as `digest_of` does of a text."""
    try:
        return hashlib.sha256(orjson.dumps(facts, default=str, option=_AS_LINE)).hexdigest()
    except TypeError:
        return digest_of(canonical(facts))


def canonical(facts: Any) -> str:
    """Return the one JSON text that stands for these facts."""
    try:
        return orjson.dumps(facts, default=str, option=_AS_JSON).decode()
    except TypeError:  # what only the slow one takes, such as half a character
        return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=plain)


def plain(value: Any) -> str:
    """Return as text what JSON has no form for, a moment as `canonical` writes it."""
    return orjson.dumps(value, option=_AS_JSON).decode().strip('"') if isinstance(value, datetime) else str(value)

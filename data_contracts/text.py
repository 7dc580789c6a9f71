"""Text from outside, made fit to be stored and shown."""

import re

# Control characters, halves of surrogate pairs, and marks that reverse the direction of writing.
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


def plain(text: str, limit: int = 500) -> str:
    """Return the text on one line, without control characters, no longer than `limit`."""
    line = " ".join(_INVISIBLE.sub(" ", text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def without_controls(text: str) -> str:
    """Return the text as a name may be stored and shown; characters of every plane stay."""
    return text.strip() if text.isprintable() else _INVISIBLE.sub(" ", text).strip()

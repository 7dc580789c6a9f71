"""Procore's two rate limits, an hour and ten seconds, and the headers that tell of the one that runs out first."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tieout.sandbox.procore.wire import Refusal

HOURLY, SPIKE = (3600, 3600.0), (25, 10.0)
SURPASSED = "You have surpassed the max number of requests for an allotted time. Please wait before sending more."


@dataclass
class Window:
    limit: int
    seconds: float
    calls: deque[float] = field(default_factory=deque)

    def left(self, now: float) -> int:
        while self.calls and self.calls[0] <= now - self.seconds:
            self.calls.popleft()
        return self.limit - len(self.calls)

    def resets_at(self, now: float) -> float:
        return (self.calls[0] if self.calls else now) + self.seconds


class Limits:
    """Counts what is asked; a refused request does not count."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self.windows = [Window(*HOURLY), Window(*SPIKE)]

    def take(self) -> dict[str, str]:
        """Count one request and return the headers, or refuse it."""
        now = self._seconds()
        tightest = min(self.windows, key=lambda window: window.left(now))
        if tightest.left(now) <= 0:
            wait = max(1, math.ceil(tightest.resets_at(now) - now))
            raise Refusal(429, {"errors": SURPASSED}, self._headers(tightest, now) | {"Retry-After": str(wait)})
        for window in self.windows:
            window.calls.append(now)
        return self._headers(tightest, now)

    def _headers(self, window: Window, now: float) -> dict[str, str]:
        return {
            "X-Rate-Limit-Limit": str(window.limit),
            "X-Rate-Limit-Remaining": str(max(0, window.left(now))),
            "X-Rate-Limit-Reset": str(math.ceil(window.resets_at(now))),
        }

"""How far a slow step has come, as a bar on the Artifacts tab of its run; a quick step makes none and costs nothing.

A thread of its own draws it: a Prefect server that is away or slow neither fails nor delays the step.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from threading import Event, Thread

from tasks import _prefect
from tasks._run import run_id, task_run_id
from tieout.progress import Progress

_QUIET_SECONDS = 2.0  # a step that is over by then shows nothing
_PAUSE_SECONDS = 1.0  # at least, between two requests
_LOGGER = logging.getLogger(__name__)


@contextmanager
def shown(words: str, things: str = "invoices") -> Iterator[Progress]:
    """Show while the block goes on how many of these things are done, as told from any thread."""
    ended, numbers = Event(), [(0, 0)]

    def tell(done: int, whole: int) -> None:
        if whole:
            numbers[0] = done, whole

    bar = _prefect.Bar(run_id(), task_run_id(), words, things)
    drawing = (_draw, bar, due(ended.wait, lambda: numbers[0]))
    Thread(target=copy_context().run, args=drawing, name="progress", daemon=True).start()
    try:
        yield tell
    finally:
        ended.set()


def due(wait: Callable[[float], bool], numbers: Callable[[], tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield what is to be drawn: after two seconds of quiet, what is new each second, and the last of all.

    `wait` waits for so many seconds and says whether the step has ended; `numbers` are how many are done, of how many.
    """
    is_over, drawn = wait(_QUIET_SECONDS), (0, 0)
    if is_over:
        return
    while True:
        if (now := numbers()) != drawn:
            yield now
            drawn = now
        if is_over:
            return
        is_over = wait(_PAUSE_SECONDS)


def _draw(bar: _prefect.Bar, updates: Iterator[tuple[int, int]]) -> None:
    with ExitStack() as stack:
        client = None
        for done, whole in updates:
            try:
                client = client or stack.enter_context(_prefect.open_screen())
                bar = _prefect.draw(client, bar, done, whole)
            except Exception:  # whatever it is, the step goes on; the next second brings another try
                _LOGGER.debug("how far %s is could not be shown", bar.words, exc_info=True)

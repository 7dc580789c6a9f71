"""When Python looks for garbage in cycles: not while it would find nothing, and not where somebody waits for it.

By itself Python does so whenever there are many new objects, in whichever thread made the last of them.
"""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from threading import Thread

COLLECT_AFTER = 50_000  # new objects; what it may leave lying is some ten megabytes
_EVERY, _ALL_EVERY = 1.0, 60  # seconds; each so manieth time whatever was ever made is looked through
_YOUNG, _ALL = 1, 2


def collect_seldom() -> None:
    """Look less often from now on: while a thousand modules are loaded, looking takes a seventh of the time."""
    gc.set_threshold(COLLECT_AFTER)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Do not look, in any thread, meanwhile: it takes a quarter of the time in which a batch is judged.

    The objects of a batch are many, and hardly any in cycles.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def collect_in_a_thread() -> None:
    """Look from now on in a thread of its own, which may wait for the others."""
    gc.disable()
    Thread(target=_collect, name="garbage collector", daemon=True).start()


def _collect() -> None:
    for number in count(1):
        time.sleep(_EVERY)
        gc.collect(_YOUNG if number % _ALL_EVERY else _ALL)

"""`tieout server`: Prefect's own server, spared the minutes for which it answers nobody when it is on SQLite.

Where a statement fails because the database is locked, its cursor stays in the traceback until the garbage collector
finds it. To finish the cursor the collector waits for its connection, which meanwhile waits for the write lock, whose
holder waits for the event loop, in which the collector runs: until SQLite's patience of 60 s is over. (Prefect 3.8
with aiosqlite 0.22.) So the collector runs in a thread of its own, where it may wait.
"""

import gc
import runpy
import sys
import time
from itertools import count
from threading import Thread

import typer

_EVERY, _ALL_EVERY = 1.0, 60  # seconds; each so manieth time whatever was ever made is looked through
_YOUNG, _ALL = 1, 2


def server(context: typer.Context) -> None:
    """Start Prefect's server; the options are those of `prefect server start`."""
    gc.disable()
    Thread(target=_collect, name="garbage collector", daemon=True).start()
    sys.argv = ["prefect", "server", "start", *context.args]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


def _collect() -> None:
    for number in count(1):
        time.sleep(_EVERY)
        gc.collect(_YOUNG if number % _ALL_EVERY else _ALL)

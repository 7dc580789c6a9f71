"""`tieout server`: Prefect's own server, spared the minutes for which it answers nobody when it is on SQLite.

Where a statement fails because the database is locked, its cursor stays in the traceback until the garbage collector
finds it. To finish the cursor the collector waits for its connection, which meanwhile waits for the write lock, whose
holder waits for the event loop, in which the collector runs: until SQLite's patience of 60 s is over. (Prefect 3.8
with aiosqlite 0.22.) So the collector runs in a thread of its own, where it may wait.
"""

import runpy
import sys

import typer

from tieout.garbage import collect_in_a_thread


def server(context: typer.Context) -> None:
    """Start Prefect's server; the options are those of `prefect server start`."""
    collect_in_a_thread()
    sys.argv = ["prefect", "server", "start", *context.args]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)

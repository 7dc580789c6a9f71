"""`python -m tieout.engine`: the process of one run, which is Prefect's own, begun sooner.

While a thousand modules are loaded, Python's garbage collector goes through them again and again and finds nothing:
a seventh of the time until a flow begins. So it looks less often, here and while the flow is at work.
"""

import gc
import runpy

COLLECT_AFTER = 50_000  # new objects; what it may leave lying is some ten megabytes

if __name__ == "__main__":
    gc.set_threshold(COLLECT_AFTER)
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)

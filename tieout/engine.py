"""`python -m tieout.engine`: the process of one run, which is Prefect's own, begun sooner."""

import runpy

from tieout.garbage import collect_seldom

if __name__ == "__main__":
    collect_seldom()  # while the engine is loaded, and while the flow is at work
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)

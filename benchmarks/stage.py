"""The stand-ins and the settings that a measurement plays on, in a temporary folder."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def stand_ins(folder: Path, projects: int, invoices: int, lines: int) -> Iterator[dict[str, Any]]:
    """Run both stand-ins over sound invoices, without rate limits, and point this process's settings at them.

    Leaving the block puts the whole environment back.
    """
    before = dict(os.environ)
    command = [sys.executable, "-m", "tieout.sandbox.serve", "--json", "--limits", "off", "--no-troubles"]
    command += ["--data", str(folder / "sandbox"), "--projects", str(projects)]
    command += ["--invoices", str(invoices), "--lines", str(lines)]
    # A stand-in whose client is killed says so at length; that is for who looks for it.
    with (
        (folder / "stand-ins.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            if process.stdout is None:
                raise RuntimeError("the stand-ins say nothing")
            facts: dict[str, Any] = json.loads(process.stdout.readline())
            os.environ.update(_environment(folder, facts))
            yield facts
        finally:
            process.terminate()
            os.environ.clear()
            os.environ.update(before)


def _environment(folder: Path, facts: dict[str, Any]) -> dict[str, str]:
    procore, spectrum = facts["procore"], facts["spectrum"]
    return {
        "TIEOUT_CONFIG": str(folder / "tieout.toml"),
        "TIEOUT_LEDGER__URL": f"sqlite:///{folder / 'ledger.sqlite'}",
        "TIEOUT_MAPPING__CSV": facts["mapping_csv"],
        "TIEOUT_EXPORT__RETRY_DELAY_SECONDS": "0.2",
        **{f"TIEOUT_PROCORE__{name.upper()}": str(value) for name, value in procore.items()},
        **{f"TIEOUT_SPECTRUM__{name.upper()}": str(value) for name, value in spectrum.items()},
    }

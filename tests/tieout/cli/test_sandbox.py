"""`tieout sandbox` says where the stand-ins are in one line, and takes them along when it ends."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest


def test_one_line_says_where_both_stand_ins_are(tmp_path: Path):
    command = [sys.executable, "-m", "tieout.cli", "sandbox", "--data", str(tmp_path), "--limits", "off"]
    sizes = ["--seed", "3", "--projects", "1", "--invoices", "4", "--lines", "2", "--no-troubles"]
    with subprocess.Popen([*command, *sizes], stdout=subprocess.PIPE, text=True) as sandbox:
        assert sandbox.stdout is not None
        facts = json.loads(sandbox.stdout.readline())
        urls = facts["procore"]["api_url"], facts["spectrum"]["url"]
        procore, spectrum = (httpx.get(f"{url}/_sandbox/state", trust_env=False).json() for url in urls)
        sandbox.send_signal(signal.SIGTERM)
        rest = sandbox.stdout.read()

    assert (sandbox.returncode, rest) == (0, "")
    assert (procore["requisitions"], procore["troubles"]) == (4, 0)
    assert spectrum["invoices"]["unposted"]["count"] == 0
    for url in urls:
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, trust_env=False)

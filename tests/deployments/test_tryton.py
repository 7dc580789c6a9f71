"""The set-up of a company in Tryton is a program that ends by itself, and Tryton's own code stays out of ours."""

import ast
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.tryton import server

ROOT = Path(__file__).parents[2]
FOLDERS = ("flows", "tasks", "tieout", "data_contracts", "deployments", "benchmarks", "tests")
LOCK = (ROOT / "deployments" / "tryton" / "requirements.lock").read_text(encoding="utf-8")


def test_a_company_is_served_until_it_is_told_to_stop(tmp_path: Path):
    try:
        with server.alone(server.TEMPLATES):
            server.install()
    except server.ServerError as error:
        pytest.skip(f"what runs against a real Tryton: {error}")
    command = [sys.executable, "-m", "deployments.tryton", "--json", "--data", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        ended = process.wait(30)

    assert ended == 0
    assert facts["tryton"]["url"] == facts["control"]
    assert (tmp_path / "contractor.sqlite").exists()
    assert list(tmp_path.glob("*.conf")) == []  # the server has gone, and what it was started with


def test_nothing_of_trytons_own_code_is_imported():
    imported = set()
    for path in (each for folder in FOLDERS for each in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            imported |= {name.partition(".")[0] for name in names}

    assert imported & {"trytond", "proteus"} == set()


def test_its_lock_pins_by_hash_and_names_no_place():
    locked = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;]+)(.*(?:\n    --hash.*)*)", LOCK, re.MULTILINE)

    assert [name for name, _, rest in locked if "--hash=sha256:" not in rest] == []
    assert re.findall(r"://|^--\S+", LOCK, re.MULTILINE) == []

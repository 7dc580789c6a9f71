"""Which rules judge, and the version of the code that they are."""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import data_contracts
from data_contracts.case import Case
from data_contracts.expectations import validate
from data_contracts.reference import Finding
from data_contracts.verdicts import check

FEW = 20  # up to so many are judged row by row, sooner than great-expectations is even imported
_BESIDE_THE_CONTRACTS = ("judging.py", "billing.py", "mapping.py", "others.py", "papers.py")


@cache
def rules_version() -> str:
    """Return what changes with any rule and with any code that applies one; kept with every judgement.

    It is taken from the text of that code, so that nobody can forget to count it up: a mere comment changes it too,
    and what waits is judged once more for nothing.
    """
    contracts, ours = Path(data_contracts.__file__).parent, Path(__file__).parent
    files = sorted(contracts.glob("*.py")) + [ours / name for name in _BESIDE_THE_CONTRACTS]
    text = "\0".join(file.read_text(encoding="utf-8") for file in files)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def judge(cases: Sequence[Case]) -> dict[int, list[Finding]]:
    """Return by Procore invoice id what is wrong with each invoice; an empty list where nothing is."""
    return check(cases) if len(cases) <= FEW else validate(cases)

"""Which rules judge, and the version of the code that they are."""

import ast
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import data_contracts
from data_contracts.case import Case
from data_contracts.expectations import validate
from data_contracts.reference import Finding
from data_contracts.verdicts import check
from tieout import ledger, settings
from tieout.garbage import undisturbed
from tieout.judgement import sources

FEW = 20  # up to so many are judged row by row, sooner than great-expectations is even imported
APART = (ledger.__name__, settings.__name__)  # of whatever judging imports, what no verdict depends on


@cache  # the program's code stays the same while it runs
@undisturbed()
def rules_version() -> str:
    """Return what changes with any rule and with any code that a verdict depends on; kept with every judgement.

    It is taken from that code, so that nobody can forget to count it up. That takes a tenth of a second.
    """
    return sources.digest(judging_code(Path(data_contracts.__file__).parents[1]))[:16]


def judging_code(folder: Path) -> dict[str, ast.Module]:
    """Return by name what the modules in this folder say on which judging stands, found by their imports.

    How the ledger keeps things is no part of it; what the company has set has a version of its own.
    """
    from tieout.judgement.cases import read_cases  # which stands on this module

    return sources.needed(folder, (judge.__module__, read_cases.__module__), APART)


def judge(cases: Sequence[Case]) -> dict[int, list[Finding]]:
    """Return by Procore invoice id what is wrong with each invoice; an empty list where nothing is."""
    return check(cases) if len(cases) <= FEW else validate(cases)

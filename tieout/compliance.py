"""Ask Procore how the papers stand that payment waits for, where the policy says that they matter (C3.17).

Of commitments and invoices that wait only: each costs a request. What is missing of them is said by `papers.py`.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from data_contracts.commitment import ProjectBooks
from data_contracts.invoice import Invoice
from data_contracts.reference import Problem
from tieout.connectors.procore import Procore
from tieout.errors import ContractError, RefusedError
from tieout.settings import Policy

_Shown = TypeVar("_Shown")


def read(
    procore: Procore, books: ProjectBooks, waiting: Iterable[Invoice], policy: Policy
) -> tuple[ProjectBooks, list[Problem]]:
    """Read what the policy asks for of the invoices that wait; what Procore refuses to show counts as missing."""
    project_id, problems, invoices = books.project.project_id_procore, list[Problem](), list(waiting)
    billed = {each.commitment_id_procore for each in invoices}
    is_asked = {policy.insurance, policy.compliance_documents} != {"allow"}
    ours = [each for each in books.commitments if is_asked and each.commitment_id_procore in billed]
    shown = [_asked(partial(procore.compliance, project_id, each), problems) for each in ours]
    ids = {id_ for each in invoices for id_ in (each.invoice_id_procore, each.previous_invoice_id_procore)}
    asked = sorted(each for each in ids if each is not None) if policy.lien_waiver != "allow" else []
    waivers = [_asked(partial(procore.lien_waivers, project_id, each), problems) for each in asked]
    found = {
        "compliance": tuple(each for each in shown if each is not None),
        "lien_waivers": tuple(waiver for each in waivers for waiver in each or ()),
    }
    return books.model_copy(update=found), problems


def _asked(ask: Callable[[], _Shown], problems: list[Problem]) -> _Shown | None:
    try:
        return ask()
    except (RefusedError, ContractError) as error:
        problems.append(Problem(system="Procore", check="papers", is_blocking=False, message=str(error)))
        return None

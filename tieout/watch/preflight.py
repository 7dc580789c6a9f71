"""Look before a night whether it can succeed: settings, ledger, Procore, ERP, codes, and each project's tools."""

import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import version

from data_contracts.commitment import Project
from data_contracts.reference import Problem
from tieout import opening
from tieout.connectors.base import ERP
from tieout.connectors.procore import SYSTEM, Procore
from tieout.errors import ContractError, RefusedError, SettingsError, TieoutError
from tieout.judgement.mapping import read_mapping_csv
from tieout.ledger.version import require_current
from tieout.office import Office
from tieout.people import codes, rights
from tieout.settings import Settings

_DAY_HOURS = 24
_PASSED_OVER = "the policy skips it (skip_projects)"


@dataclass(frozen=True)
class Rights:
    """What one project lets us do: per right the reason why not, empty where it does."""

    project: Project
    export: str = ""
    invoices: str = ""
    commitments: str = ""
    payments_issued: str = ""

    @property
    def problems(self) -> list[str]:
        """The reasons, each named for its right."""
        names = ("export", "invoices", "commitments", "payments_issued")
        return [f"{name.replace('_', ' ')}: {why}" for name in names if (why := getattr(self, name))]


@dataclass(frozen=True)
class Preflight:
    """All that was found; a night can start where nothing is blocking."""

    problems: tuple[Problem, ...]
    projects: tuple[Rights, ...]
    versions: dict[str, str]

    @property
    def is_blocked(self) -> bool:
        """Whether something must be mended first."""
        return any(problem.is_blocking for problem in self.problems)


def inspect(office: Office) -> Preflight:
    """Look at everything; nothing is written anywhere."""
    problems = [
        *_sections(office),
        *_tried("Ledger", lambda: require_current(office.settings.ledger_url)),
        *_mapping(office.settings),
    ]
    projects: list[Rights] = []
    try:
        with opening.open_procore(office) as procore:
            problems += [*(found := procore.check()), *_lease(office.settings, SYSTEM, procore.request_timeout)]
            if not any(problem.is_blocking for problem in found):
                projects = [rights_on(procore, project, office) for project in procore.projects()]
    except TieoutError as error:
        problems.append(_blocking("Procore", str(error)))
    try:
        with opening.open_erp(office) as erp:
            problems += [*erp.check(), *_promises(erp, office.settings)]
    except (TieoutError, ImportError) as error:
        problems.append(_blocking("ERP", str(error)))
    return Preflight((*problems, *_of_projects(projects)), tuple(projects), versions())


def rights_on(procore: Procore, project: Project, office: Office) -> Rights:
    """Try what a night does on this project, with as few requests as that takes."""
    project_id, now = project.project_id_procore, office.clock()
    if project_id in office.settings.policy.skip_projects:
        return Rights(project, export=_PASSED_OVER)
    try:
        procore.changed_invoices(project_id, now - timedelta(minutes=1), now)
    except RefusedError as refusal:
        return Rights(project, invoices=refusal.reason)
    try:
        books, _ = procore.project_books(project)
    except RefusedError as refusal:
        return Rights(project, commitments=refusal.reason)
    subcontract = next((each for each in books.commitments if each.kind == "subcontract"), None)
    if subcontract is None:
        return Rights(project)
    reason = payments_allowed(procore, project_id, subcontract.commitment_id_procore)
    return Rights(project, payments_issued=reason or "")


def payments_allowed(procore: Procore, project_id: int, commitment_id: int) -> str | None:
    """Return why payments cannot be written to this commitment's project, None where they can (R8 to R10)."""
    try:
        procore.payments(project_id, commitment_id)
    except RefusedError as refusal:
        return str(refusal)
    except ContractError:
        return None  # the tab is there; an unreadable row in it concerns that commitment alone
    return None


def versions() -> dict[str, str]:
    """Return what is installed, for a report to us."""
    return {"tieout": version("tieout"), "prefect": version("prefect"), "python": platform.python_version()}


def _sections(office: Office) -> Iterable[Problem]:
    for name in ("company", "export", "approval", "people", "prefect", "watch", "policy", "mail"):
        yield from _tried("Settings", partial(getattr, office.settings, name))
    for look in (_approval, _watch, _mail):
        try:
            yield from list(look(office))
        except SettingsError:
            continue  # said above already


def _approval(office: Office) -> Iterable[Problem]:
    approval = office.settings.approval
    if approval.proof == "name":
        words = 'approval.proof is "name": tieout believes every name that somebody types.'
        yield _warning("Settings", "approval", words, "For the sandbox and the demo only.")
    elif problem := codes.key_problem(office.settings):
        yield _warning("Settings", "approval", f"{problem}: nobody can decide anything.", "See docs/deployment.md.")
    if not rights.APPROVER.holders(office.settings.people):
        words = "No entry of [[people]] has an accounting approver's rights: nobody can accept what is Ready to Export."
        yield _warning("Settings", "people", words, "See [[people]] in docs/settings.md.")


def _mail(office: Office) -> Iterable[Problem]:
    section = office.settings.mail
    if not section.is_on:
        words = "mail.host is empty: nobody gets an email about a rejection, a night that failed or an alarm."
        yield _warning("Settings", "mail", words, "Name the mail server in [mail].")
        return
    if not section.operators:
        words = "mail.operators is empty: nobody gets an email about nights that failed and alarms."
        yield _warning("Settings", "mail", words, "Name their addresses in [mail].")
    with opening.open_mailer(office) as mailer:
        yield from mailer.check()
        if office.settings.export.lease <= mailer.request_timeout:
            words = f"mail.timeout allows an exchange of {mailer.request_timeout.total_seconds():g} seconds."
            yield _warning("Settings", "mail", words, "It must end within export.lease_seconds, or no mail is sent.")


def _watch(office: Office) -> Iterable[Problem]:
    """Limits by which an alarm would ring though all goes well."""
    limits, schedule = office.settings.watch, office.settings.prefect.schedule
    if schedule.split()[1:2] and schedule.split()[1].isdigit() and limits.night_hours <= _DAY_HOURS:
        words = f"watch.night_hours is {limits.night_hours:g}, and the night runs once a day ({schedule})."
        yield _warning("Settings", "watch", words, f"Set it to more than {_DAY_HOURS}, or its alarm rings every day.")
    for name in ("listing_hours", "uncertain_hours", "waiting_hours"):
        if (hours := getattr(limits, name)) < limits.night_hours:
            words = f"watch.{name} is {hours:g}, less than night_hours ({limits.night_hours:g})."
            yield _warning("Settings", "watch", words, "Give the night time to run before the alarm rings.")


def _mapping(settings: Settings) -> list[Problem]:
    try:
        path = settings.mapping_csv
    except TieoutError as error:
        return [_blocking("Settings", str(error))]
    return read_mapping_csv(path)[1] if path else []


def _promises(erp: ERP, settings: Settings) -> Iterable[Problem]:
    yield from _lease(settings, erp.capabilities.name.capitalize(), erp.capabilities.request_timeout)
    if not erp.capabilities.refuses_duplicates:
        words = f"{erp.capabilities.name} itself does not refuse a second invoice of the same vendor and number."
        yield _warning("ERP", "duplicates", words, "See docs/connectors.md on what closes this gap.")


def _lease(settings: Settings, system: str, deadline: timedelta) -> Iterable[Problem]:
    """Nothing is sent whose lease could end before the answer comes (law 4)."""
    lease = settings.export.lease
    if lease <= deadline:
        words = f"export.lease_seconds is {lease.total_seconds():g}, and a request to {system} may take"
        yield _blocking("Settings", f"{words} {deadline.total_seconds():g} seconds: nothing would ever be sent.")


def _of_projects(projects: list[Rights]) -> list[Problem]:
    if projects and all(rights.export or rights.invoices or rights.commitments for rights in projects):
        return [_blocking("Procore", "No project lets us export its invoices.")]
    return [
        _warning("Procore", "project", f"{rights.project.name}: {why}", "Have the project's administrator allow it.")
        for rights in projects
        for why in rights.problems
        if why != f"export: {_PASSED_OVER}"
    ]


def _tried(system: str, read: Callable[[], object]) -> list[Problem]:
    try:
        read()
    except TieoutError as error:
        return [_blocking(system, str(error))]
    return []


def _blocking(system: str, message: str) -> Problem:
    return Problem(system=system, check="set-up", is_blocking=True, message=message)


def _warning(system: str, check: str, message: str, remedy: str) -> Problem:
    return Problem(system=system, check=check, is_blocking=False, message=message, remedy=remedy)

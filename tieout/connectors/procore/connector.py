"""What is asked of Procore and written to it."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from http import HTTPStatus
from itertools import accumulate, takewhile
from typing import Any, Final, Literal

from data_contracts.commitment import Commitment, Compliance, LienWaiver, Project, ProjectBooks, Vendor
from data_contracts.fetched import FetchedInvoice, FetchedPayment, InvoiceStub
from data_contracts.invoice import SENDABLE
from data_contracts.reference import Problem
from data_contracts.voucher import ProcorePayment
from tieout.connectors.procore.lists import Lists
from tieout.connectors.procore.settings import SYSTEM, Settings
from tieout.connectors.procore.token import Token
from tieout.connectors.procore.translation import (
    AnyContract,
    fetched_alone,
    fetched_invoice,
    invoice_stub,
    parse_commitment,
    parse_compliance,
    parse_cost_code,
    parse_payment,
    parse_period,
    parse_project,
    parse_vendor,
    parse_waiver,
    payment_body,
)
from tieout.connectors.wire import PATIENCE, Client, parse_text, request_id, server_time
from tieout.errors import ContractError, RefusedError, SettingsError, TieoutError, UnconfirmedError
from tieout.settings import Settings as CompanySettings

URL_ROOM = 5_000  # of the 6,000 characters that proxies let through
SKEW = timedelta(seconds=60)

_REQUISITIONS = "/rest/v1.1/requisitions"
_ONLY_SENDABLE: Mapping[str, Any] = {"filters[status][]": SENDABLE}
_PAYMENTS = "/rest/v1.0/contract_payments"
_COMMITMENT_PATHS = {
    "/rest/v1.0/work_order_contracts": "subcontract",
    "/rest/v1.0/purchase_order_contracts": "purchase_order",
}


class Unchanged(Enum):
    """Leave a field as it is; None would clear it."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


class Procore:
    """One company in Procore, seen by one service account. Threads may share it."""

    def __init__(
        self,
        settings: Settings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open nothing yet."""
        self.company_id, self._clock = settings.company_id, clock
        # Documented nowhere: long beside what a replica lags behind and what a proxy holds a request back.
        self.settles_within = timedelta(seconds=settings.settles_seconds)
        # To connect, to send and to wait for the answer may take the time-out each; a stated wait comes on top.
        self.request_timeout = timedelta(seconds=3 * settings.timeout + PATIENCE)
        company = {"Procore-Company-Id": str(settings.company_id)}
        self._login = Client(SYSTEM, settings.login_url, settings.timeout, sleep=sleep, clock=clock)
        token = Token(self._login, settings, clock)
        self._api = Client(SYSTEM, settings.api_url, settings.timeout, token, company, sleep=sleep, clock=clock)
        self._lists = Lists(self._api, settings.per_page)

    @classmethod
    def from_settings(cls, settings: CompanySettings) -> "Procore":
        """Return the connector as `tieout.toml` and the environment describe it."""
        return cls(settings.section(Settings, "procore"))

    @property
    def calls(self) -> int:
        """How many requests were sent."""
        return self._api.calls + self._login.calls

    def close(self) -> None:
        """Release the connections."""
        self._api.close()
        self._login.close()

    def check(self) -> list[Problem]:
        """Return what stands in the way: address, credentials, company, clock, projects. Writes nothing."""
        try:
            return self._check()
        except SettingsError as error:
            return [_blocking("credentials", str(error), "Check login_url, client_id and the client secret.")]
        except RefusedError as error:
            return [_blocking("rights", str(error), "Have the app connected to the company in Procore.")]
        except TieoutError as error:
            return [_blocking("connection", str(error), "Check api_url, login_url and the network.")]

    def _check(self) -> list[Problem]:
        problems: list[Problem] = []
        response = self._api.read("GET", "/rest/v1.0/me", "the service account")
        server, ours = server_time(response), datetime.fromtimestamp(self._clock(), UTC)
        if server and abs(server - ours) > SKEW:
            message = f"This machine's clock is {abs(server - ours).total_seconds():.0f} s off Procore's."
            problems.append(_blocking("clock", message, "Set the clock, for example with NTP."))
        if self.company_id not in self._lists.read("/rest/v1.0/companies", {}, "the companies").rows:
            message = f"The service account does not see company {self.company_id}."
            problems.append(_blocking("company", message, "Check company_id; have the app connected to it."))
        elif not self.projects():
            remedy = "In Procore, permit the service account on the projects that it should serve."
            problems.append(_blocking("projects", "The service account sees no active project.", remedy))
        return problems

    def projects(self) -> list[Project]:
        """Return the active projects that the service account sees."""
        rows = self._lists.read_whole("/rest/v1.0/projects", {"company_id": self.company_id}, "the projects")
        found = []
        for project_id, row in rows.items():
            project = parse_project(row.value)
            # A project is never lost for a bad name: its invoices are judged all the same.
            if isinstance(project, list):
                project = Project(project_id_procore=project_id, name=f"Project {project_id}")
            found.append(project)
        return [project for project in found if project.is_active]

    def vendors(self) -> list[Vendor]:
        """Return the company's directory, as far as it is active."""
        params = {"company_id": self.company_id, "view": "extended"}
        rows = self._lists.read_whole("/rest/v1.0/vendors", params, "the vendors")
        vendors = ((vendor_id, parse_vendor(row.value)) for vendor_id, row in rows.items())
        return [each if isinstance(each, Vendor) else Vendor(vendor_id_procore=i, name="") for i, each in vendors]

    def project_books(self, project: Project) -> tuple[ProjectBooks, list[Problem]]:
        """Return what judging the project's invoices needs, and a problem for each row that cannot be read."""
        project_id, problems = project.project_id_procore, list[Problem]()
        params: dict[str, Any] = {"project_id": project_id}
        extended = params | {"view": "extended"}
        codes = self._records(project_id, "/rest/v1.0/cost_codes", params, "cost code", parse_cost_code, problems)
        known = {code.cost_code_id_procore: code for code in codes}
        commitments: list[Commitment] = []
        for path, kind in _COMMITMENT_PATHS.items():
            make = partial(parse_commitment, project_id=project_id, kind=kind, cost_codes=known)
            commitments += self._records(project_id, path, extended, kind.replace("_", " "), make, problems)
        path = f"/rest/v1.0/projects/{project_id}/billing_periods"
        periods = self._records(project_id, path, {}, "billing period", parse_period, problems)
        books = ProjectBooks(
            project=project, commitments=tuple(commitments), cost_codes=tuple(codes), periods=tuple(periods)
        )
        return books, problems

    def compliance(self, project_id: int, commitment: Commitment) -> Compliance:
        """Return how the papers of a commitment stand; ContractError where that cannot be read."""
        path = next(path for path, kind in _COMMITMENT_PATHS.items() if kind == commitment.kind).rpartition("/")[2]
        commitment_id = commitment.commitment_id_procore
        document = f"the compliance of commitment {commitment_id}"
        where = f"/rest/v1.0/projects/{project_id}/{path}/{commitment_id}/compliance"
        found = self._api.read_json("GET", where, document)
        return _readable(parse_compliance(found, commitment_id), document)

    def lien_waivers(self, project_id: int, invoice_id: int) -> list[LienWaiver]:
        """Return the waivers that were asked for of an invoice; ContractError where one cannot be read."""
        document = f"the waivers of lien of invoice {invoice_id}"
        path = f"/rest/v1.0/projects/{project_id}/lien_waivers"
        rows = self._lists.read_whole(path, {"invoice_id": invoice_id}, document)
        return [_readable(parse_waiver(row.value, invoice_id), document) for row in rows.values()]

    def changed_invoices(
        self, project_id: int, since: datetime | None, until: datetime
    ) -> tuple[list[InvoiceStub], list[Problem]]:
        """Return which invoices changed from `since` to `until` (all, where `since` is None), each once.

        A problem means that something was not seen: the watermark must not move past it.
        """
        params: dict[str, Any] = {"project_id": project_id}
        if since is not None:
            params["filters[updated_at]"] = f"{_instant(since)}...{_instant(until + timedelta(seconds=1))}"
        found = self._lists.read(_REQUISITIONS, params, f"the invoices of project {project_id}")
        stubs = {invoice_id: invoice_stub(invoice_id, row.value) for invoice_id, row in found.rows.items()}
        for row_id in (row_id for row_id, _ in found.lost if row_id is not None):
            stubs.setdefault(row_id, invoice_stub(row_id, {}))  # reading it by itself will say what is wrong with it
        unseen = [words for row_id, words in found.lost if row_id is None]
        return list(stubs.values()), [_problem("invoices", f"In project {project_id} {each}.") for each in unseen]

    def count_sendable(self, project_id: int) -> int:
        """Return how many of the project's invoices may be sent (R15): one request, of which only the count is read.

        Where an answer comes without `Total`, the rows are counted.
        """
        params = {"project_id": project_id, **_ONLY_SENDABLE}
        page = self._lists.read_page(_REQUISITIONS, params, f"the number of invoices of project {project_id}", 1, 1)
        return len(self.sendable_invoices(project_id)) if page.total is None else page.total

    def sendable_invoices(self, project_id: int) -> set[int]:
        """Return the project's invoices that may be sent; one whose row cannot be read is taken for one of them."""
        params = {"project_id": project_id, **_ONLY_SENDABLE}
        found = self._lists.read(_REQUISITIONS, params, f"the invoices of project {project_id} that may be sent")
        shown = {invoice_id for invoice_id, row in found.rows.items() if row.value.get("status") in SENDABLE}
        return shown | {row_id for row_id, _ in found.lost if row_id is not None}

    def invoices(self, project_id: int, ids: Sequence[int]) -> list[FetchedInvoice]:
        """Return these invoices in full, in that order; one that no longer exists is left out."""
        found: dict[int, FetchedInvoice] = {}
        waiting = list(dict.fromkeys(ids))
        while waiting:
            chunk = waiting[: self._chunk_length(waiting)]
            del waiting[: len(chunk)]
            found |= self._chunk_of_invoices(project_id, chunk)
        return [found[invoice_id] for invoice_id in dict.fromkeys(ids) if invoice_id in found]

    def invoice(self, project_id: int, invoice_id: int) -> FetchedInvoice | None:
        """Return one invoice in full, or None when Procore does not have it or does not show it."""
        fetched = self._invoice(project_id, invoice_id)
        if fetched and fetched.problem:  # an answer that was cut short is whole the second time
            fetched = self._invoice(project_id, invoice_id)
        return fetched

    def _invoice(self, project_id: int, invoice_id: int) -> FetchedInvoice | None:
        path, document = f"{_REQUISITIONS}/{invoice_id}", f"invoice {invoice_id}"
        params = {"project_id": project_id, "view": "extended"}
        response = self._api.read("GET", path, document, allow=(HTTPStatus.NOT_FOUND,), params=params)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        return fetched_alone(project_id, invoice_id, response.content)

    def set_origin(
        self,
        project_id: int,
        commitment_id: int,
        invoice_id: int,
        origin_id: str | Literal[Unchanged.UNCHANGED] | None = UNCHANGED,
        origin_data: str | Literal[Unchanged.UNCHANGED] | None = UNCHANGED,
    ) -> FetchedInvoice:
        """Write the origin fields of an invoice (None clears one) and return the invoice as it is afterwards.

        That an invoice with an `origin_id` still takes a change of these two fields is modelled, not documented.
        """
        fields = {"origin_id": origin_id, "origin_data": origin_data}
        fields = {name: value for name, value in fields.items() if value is not UNCHANGED}
        body = {"project_id": project_id, "commitment_id": commitment_id, "requisition": fields}
        path, document = f"{_REQUISITIONS}/{invoice_id}", f"invoice {invoice_id}"
        response = self._api.write("PATCH", path, document, params={"view": "extended"}, json=body)
        fetched = fetched_alone(project_id, invoice_id, response.content)
        if fetched.problem:
            raise UnconfirmedError(SYSTEM, document, fetched.problem, request_id(response))
        return fetched

    def payments(self, project_id: int, commitment_id: int) -> list[FetchedPayment]:
        """Return the rows of a commitment's Payments Issued tab; ContractError when one could be ours unseen."""
        params = {"project_id": project_id, "contract_id": commitment_id}
        hints = _payments_hints(project_id)
        rows = self._lists.read_whole(_PAYMENTS, params, f"the payments of commitment {commitment_id}", hints)
        found = []
        for payment_id, row in rows.items():
            payment = parse_payment(row.value, commitment_id)
            if isinstance(payment, list):
                raise ContractError(SYSTEM, f"payment {payment_id}", "; ".join(payment))
            found.append(payment)
        return found

    def record_payment(self, payment: ProcorePayment) -> int:
        """Write one row of Payments Issued and return its id. Look with `payments` first: this writes each time."""
        document = f"payment {payment.origin_id}"
        hints = _payments_hints(payment.project_id_procore)
        response = self._api.write("POST", _PAYMENTS, document, hints, json=payment_body(payment))
        answer = parse_text(response.text) if response.content else None
        payment_id = answer.get("id") if isinstance(answer, dict) else None
        if type(payment_id) is not int:
            raise UnconfirmedError(SYSTEM, document, "the answer has no payment id", request_id(response))
        return payment_id

    def _chunk_of_invoices(self, project_id: int, ids: Sequence[int]) -> dict[int, FetchedInvoice]:
        """Return these invoices by id. What does not come with the others is asked for by itself."""
        params = {"project_id": project_id, "view": "extended", "filters[id][]": tuple(ids)}
        page = self._lists.read_page(_REQUISITIONS, params, f"{len(ids)} invoices of project {project_id}", 1, len(ids))
        found = {each: fetched_invoice(project_id, each, *page.rows[each]) for each in ids if each in page.rows}
        rest = [each for each in ids if each not in found]
        if page.problem and len(ids) > 1:
            middle = (len(rest) + 1) // 2
            parts = [rest[:middle], rest[middle:]]
        elif found and page.total != len(page.rows):
            parts = [rest]  # the page was smaller than what was asked for
        else:
            alone = (self.invoice(project_id, each) for each in rest)
            return found | {each.invoice_id_procore: each for each in alone if each}
        for part in parts:
            found |= self._chunk_of_invoices(project_id, part) if part else {}
        return found

    def _chunk_length(self, ids: Sequence[int]) -> int:
        """Return how many of the ids fit into one address and onto one page."""
        lengths = accumulate(len(f"&filters%5Bid%5D%5B%5D={each}") for each in ids)
        fitting = sum(1 for _ in takewhile(lambda length: length <= URL_ROOM, lengths))
        return max(1, min(fitting, self._lists.page_size(_REQUISITIONS)))

    def _records(
        self,
        project_id: int,
        path: str,
        params: Mapping[str, Any],
        what: str,
        make: Callable[[dict[str, Any]], AnyContract | list[str]],
        problems: list[Problem],
    ) -> list[AnyContract]:
        """Return what can be read of a project's list; each thing that cannot be is added to the problems."""
        found = self._lists.read(path, params, f"the {what}s of project {project_id}")
        made = {row_id: make(row.value) for row_id, row in found.rows.items()}
        problems += [_problem(what, f"Among the {what}s of project {project_id} {words}.") for _, words in found.lost]
        for row_id, result in made.items():
            if isinstance(result, list):
                problems.append(_problem(what, f"Procore's {what} {row_id} cannot be read: {'; '.join(result)}."))
        return [result for result in made.values() if not isinstance(result, list)]


def _readable(made: AnyContract | list[str], document: str) -> AnyContract:
    if isinstance(made, list):
        raise ContractError(SYSTEM, document, "; ".join(made))
    return made


def _payments_hints(project_id: int) -> dict[int, str]:
    words = f"in project {project_id} the Commitments or Payments Issued tool may be off, or the right to it missing"
    return {403: words, 404: words}


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _blocking(check: str, message: str, remedy: str) -> Problem:
    return Problem(system=SYSTEM, check=check, is_blocking=True, message=message, remedy=remedy)


def _problem(check: str, message: str) -> Problem:
    remedy = "Open it in Procore and save it again; if that does not help, send this message to Procore's support."
    return Problem(system=SYSTEM, check=check, is_blocking=False, message=message, remedy=remedy)

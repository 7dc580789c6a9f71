"""A contractor's office for the engine's stories: both stand-ins on real sockets, a temporary ledger, a settable clock.

A `Desk` takes the steps of a night in the order of the flows, and plays the other people through the stand-ins'
control endpoints. What the ERP or Procore holds is always read from the stand-in, never from our ledger.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import pytest
from builders import an_office
from ledgers import Ledgers
from stand_ins import StandIns, write_mapping

from data_contracts.forms import ALL, All, RefreshAnswer
from tieout import opening, settings
from tieout.connectors.base import ERP, invoice_key, open_erp, parse_key
from tieout.connectors.procore import Procore
from tieout.decisions import refresh, review
from tieout.decisions.refresh import Change
from tieout.decisions.review import Decided, Offer
from tieout.errors import TransientError
from tieout.export import chunk, observation, outcome, preview
from tieout.export.preview import Forecast
from tieout.intake import invoices, reference
from tieout.intake.invoices import Fetched
from tieout.judgement import batch
from tieout.judgement.basis import Basis, load_basis, projects_with_books
from tieout.ledger import audit, sightings, states
from tieout.ledger.book import Ledger
from tieout.ledger.intents import live_intents
from tieout.ledger.items import Item
from tieout.office import Office
from tieout.outbox import letters
from tieout.outbox.mail import Mailed
from tieout.outbox.mail import deliver as deliver_mail
from tieout.payments import collection
from tieout.payments.issued import Written, write
from tieout.people.rights import Signature
from tieout.sandbox.contractor.contractor import Contractor

Done = TypeVar("Done")
APPROVER, SENDER = "Dana Reyes", "Pat Lee"
PEOPLE = [
    {"name": APPROVER, "erp_integrations": "standard", "can_push_to_accounting": True},
    {"name": SENDER, "commitments_admin": "all"},
]
NIGHT = "night"
WEDNESDAY = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)  # noon in New York; the week ends on Saturday the 7th
AFTER_A_NIGHT = pytest.mark.sandbox(after="night")  # everything is Ready to Export
AFTER_AN_EXPORT = pytest.mark.sandbox(after="export")
_MOST_CHUNKS = 50

# What a worker does that is killed with invoices in hand.
CLAIMER = """
import sys
from datetime import datetime
from tieout import opening, settings
from tieout.export.chunk import export_chunk
from tieout.judgement.basis import load_basis
from tieout.office import Office
now = datetime.fromisoformat(sys.argv[1])
office = Office(settings.read(), lambda: now, "dying")
with opening.open_ledger(office) as ledger, opening.open_erp(office) as erp:
    export_chunk(ledger, erp, load_basis(ledger, erp, office), office)
"""


@dataclass
class SettableClock:
    """The time that both stand-ins and the engine go by."""

    now: datetime = WEDNESDAY

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **of_time: float) -> None:
        self.now += timedelta(**of_time)


class Killed(BaseException):
    """A worker dies here, as by SIGKILL: nothing of ours catches this."""


@dataclass
class StoppingClock:
    """The clock of one worker, who is stopped once, at the first look at it when `is_time`.

    The worker goes on after `meanwhile` and believes that no time has passed.
    """

    clock: SettableClock
    is_time: Callable[[], bool]
    meanwhile: Callable[[], object]
    has_stopped: bool = False

    def __call__(self) -> datetime:
        now = self.clock()
        if not self.has_stopped and self.is_time():
            self.has_stopped = True
            self.meanwhile()
        return now


@dataclass
class Desk:
    """Where a story plays."""

    folder: Path
    clock: SettableClock
    contractor: Contractor
    urls: dict[str, str]  # of the stand-ins, by system
    patch: pytest.MonkeyPatch
    ledgers: Ledgers
    control: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, verify=False, timeout=30))
    _open: dict[str, Any] = field(default_factory=dict)

    # What the steps work with.

    @property
    def office(self) -> Office:
        return an_office(self.clock, NIGHT)

    @property
    def ledger(self) -> Ledger:
        return self._opened("ledger", lambda: Ledger(settings.read().ledger_url))

    @property
    def erp(self) -> ERP:
        return self._opened("erp", lambda: open_erp(self.office.settings.company.erp, self.office.settings))

    @property
    def procore(self) -> Procore:
        return self._opened("procore", lambda: Procore.from_settings(self.office.settings))

    @property
    def basis(self) -> Basis:
        return load_basis(self.ledger, self.erp, self.office)

    def basis_of(self, project_id: int) -> Basis:
        """Return the basis with the books of a project."""
        with self.ledger.reading() as connection:
            return self.basis.with_books(connection, [project_id])

    @property
    def projects(self) -> list[int]:
        """The projects of which the books were read."""
        with self.ledger.reading() as connection:
            return projects_with_books(connection)

    def _opened(self, name: str, make: Any) -> Any:
        if name not in self._open:
            self._open[name] = make()
        return self._open[name]

    def set(self, section: str, **values: Any) -> None:
        """Change settings as an operator would; connectors are opened anew."""
        for name, value in values.items():
            self.patch.setenv(f"TIEOUT_{section.upper()}__{name.upper()}", str(value))
        self.close()

    def close(self) -> None:
        for name in list(self._open):
            opened = self._open.pop(name)
            opened.engine.dispose() if name == "ledger" else opened.close()

    def back_up(self) -> str:
        """Copy the ledger as it stands; return the copy's URL, to which `set("ledger", url=...)` goes back."""
        self.close()
        return self.ledgers.new_ledger(like=settings.read().ledger_url)

    @property
    def mapping_csv(self) -> Path:
        return self.folder / "mapping.csv"

    def write_mapping(self, rows: Iterable[dict[str, str]]) -> None:
        """Write the mapping table, as an operator would."""
        write_mapping(self.mapping_csv, rows)

    # A night, step by step.

    def read(self) -> list[Fetched]:
        """Read what changed in Procore, and what it is judged by."""
        projects = reference.list_projects(self.ledger, self.procore, self.office)
        fetched = [invoices.fetch_changed(self.ledger, self.procore, each, self.office) for each in projects]
        reference.read_reference(self.ledger, self.erp, self.office)
        reference.read_books(self.ledger, self.procore, projects, self.office)
        return fetched

    def judge(self) -> dict[str, int]:
        """Judge what is new and what may be judged differently now."""
        return batch.judge_projects(self.ledger, self.basis, self.projects, self.office).counts

    def offer(self, project_id: int) -> Offer | None:
        """Open a review."""
        return review.offer(self.ledger, str(uuid4()), project_id, self.office)

    def decide(
        self, offered: Offer, accept: list[str] | All = ALL, reject: Sequence[tuple[str, str]] = (),
        by: str = APPROVER,
    ) -> Decided:  # fmt: skip
        """Answer a review."""
        return review.decide(self.ledger, offered.run_id, Signature(by), accept, reject, self.office)

    def accept(self) -> list[int]:
        """Accept whatever is Ready to Export, by one review per project; return the invoices."""
        offers = [self.offer(project_id) for project_id in review.waiting_projects(self.ledger)]
        return [invoice_id for each in offers if each for invoice_id in self.decide(each).accepted]

    def export(self, only: Sequence[int] | None = None, tries: int = 1) -> dict[str, int]:
        """Export what is accepted, chunk by chunk; a step that is told to try again does so, as its task would."""
        counts: Counter[str] = Counter()
        for _ in range(_MOST_CHUNKS):
            try:
                done = chunk.export_chunk(self.ledger, self.erp, self.basis, self.office, only)
            except TransientError:
                tries -= 1
                if not tries:
                    raise
                continue
            if not done.invoice_ids:
                return dict(counts)
            counts.update(done.counts)
        raise AssertionError(f"still exporting after {_MOST_CHUNKS} chunks")

    def foresee(self, only: Sequence[int] | None = None) -> list[Forecast]:
        """Say what exporting would do now, of what is due or of these invoices."""
        due = preview.due(self.ledger, self.basis)
        items = due if only is None else self.ledger.items(invoice_id=list(only))
        return preview.foresee(self.ledger, self.erp, self.basis, items, self.clock())

    def payload(self, invoice_id: int) -> dict[str, Any]:
        """Return what would be sent of an invoice now."""
        [forecast] = self.foresee([invoice_id])
        assert forecast.body is not None, forecast.would
        return forecast.body

    def see_change(self, invoice_id: int) -> Change:
        """Read an invoice in Procore again, and see what differs since it was sent."""
        invoices.refetch_one(self.ledger, self.procore, invoice_id, self.office)
        change = refresh.compare(self.ledger, self.erp.capabilities, self.contractor.company_id, invoice_id)
        assert change
        return change

    def take_over(self, change: Change, run: str = "run-1", by: str = APPROVER) -> list[str]:
        """Answer that a change is taken over; return what is wrong with that."""
        given = RefreshAnswer(decided_by=by, decision="apply")
        return refresh.apply(self.ledger, self.erp, self.basis, change, given, Signature(by), run, self.office)

    def settle(self) -> None:
        """Take over from the dead, and look for what is uncertain."""
        outcome.release_expired(self.ledger, self.erp, self.office)
        outcome.settle_uncertain(self.ledger, self.erp, self.office)

    def beside_a_fetch(self, invoice_ids: Sequence[int], work: Callable[[], Done]) -> Done:
        """Let another worker work while somebody fetches these invoices; return what came of the work."""
        with ThreadPoolExecutor(1) as pool, self.ledger.transaction(self.clock(), "intake") as fetching:
            sightings.sightings_of(fetching.connection, invoice_ids, is_to_change=True)
            working = pool.submit(work)
            wait([working], timeout=0.5)  # until it has claimed and waits for us, or cannot even begin
            fetching.items(invoice_id=list(invoice_ids))
        return working.result()

    def deliver(self) -> letters.Delivered:
        return letters.deliver(self.ledger, self.procore, self.office)

    def mail(self) -> Mailed:
        """Send the mails that are owed."""
        with opening.open_mailer(self.office) as mailer:
            return deliver_mail(self.ledger, mailer, self.office)

    def pay(self) -> Written:
        """Bring the ERP's payments and states back."""
        collection.collect(self.ledger, self.erp, self.office)
        observation.observe(self.ledger, self.erp, self.office)
        return write(self.ledger, self.procore, self.office)

    def night(self) -> Written:
        """Take the steps of `nightly_sync`; what is Ready to Export waits for a person."""
        self.read()
        self.settle()
        self.judge()
        outcome.revive_transient(self.ledger, self.office)
        self.export(tries=4)
        written = self.pay()
        self.deliver()
        return written

    def export_everything(self) -> list[int]:
        """Play two nights with an approver's day between them; return what was accepted, now or before."""
        self.night()
        self.accept()
        accepted = [item.invoice_id for item in self.items() if item.state not in states.JUDGED]
        self.night()
        return accepted

    # What became of it.

    def items(self, *wanted: str) -> list[Item]:
        return [item for item in self.ledger.items() if not wanted or item.state in wanted]

    def item(self, invoice_id: int) -> Item:
        [item] = self.ledger.items(invoice_id=invoice_id)
        return item

    def states(self) -> dict[int, str]:
        return {item.invoice_id: item.state for item in self.ledger.items()}

    def audit(self) -> list[str]:
        return audit.verify(self.ledger)

    # The other people, and what the two systems hold.

    def play(self, system: str, action: str, body: Any = None, method: str = "POST") -> Any:
        """Do what somebody does in Procore or in Spectrum."""
        content = {"content": body} if isinstance(body, str) else {"json": {} if body is None else body}
        answer = self.control.request(method, f"{self.urls[system]}/_sandbox/{action}", **content)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def look(self, system: str, what: str) -> Any:
        answer = self.control.get(f"{self.urls[system]}/_sandbox/{what}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fault(self, system: str, route: str, kind: str, times: int = 1, **more: Any) -> None:
        self.play(system, "faults", {"route": route, "kind": kind, "times": times, **more})

    def heal(self, system: str) -> None:
        self.play(system, "faults", method="DELETE")

    def requests(self, system: str) -> dict[str, int]:
        return dict(self.look(system, "requests")["by_route"])

    def forget_requests(self) -> None:
        for system in self.urls:
            self.play(system, "requests", method="DELETE")

    def requisitions(self) -> dict[int, dict[str, Any]]:
        """What Procore holds: a short row for each invoice, by id."""
        return {row["id"]: row for row in self.look("procore", "requisitions")}

    def requisition(self, invoice_id: int) -> dict[str, Any]:
        return dict(self.look("procore", f"requisitions/{invoice_id}"))

    def edit(self, invoice_id: int, **fields: Any) -> None:
        """A project manager changes an invoice; its lock does not stop this one."""
        self.clock.advance(seconds=2)
        self.play("procore", f"requisitions/{invoice_id}/edit", fields)

    def bill_more(self, invoice_id: int, amount: str = "100.00") -> None:
        """A project manager raises the work of the first line."""
        item = self.requisition(invoice_id)["items"][0]
        work = Decimal(item["work_completed_this_period"]) + Decimal(amount)
        name = "line_item_id" if item.get("line_item_id") else "id"
        self.edit(invoice_id, items=[{name: item[name], "work_completed_this_period": str(work)}])

    def set_status(self, invoice_id: int, status: str) -> None:
        self.clock.advance(seconds=2)
        self.play("procore", f"requisitions/{invoice_id}/approve", {"status": status})

    def replace_body(self, invoice_id: int, text: str) -> None:
        """Have Procore answer this text for the invoice; an empty one takes it back."""
        self.clock.advance(seconds=2)
        self.play("procore", f"requisitions/{invoice_id}/body", text)

    def payments_issued(self) -> list[dict[str, Any]]:
        return list(self.look("procore", "payments"))

    def erp_invoices(self) -> list[dict[str, Any]]:
        """Every invoice in Spectrum's own tables."""
        return list(self.look("spectrum", "invoices"))

    def exported(self) -> dict[int, dict[str, Any]]:
        """What Spectrum holds of ours, by Procore's invoice id; AssertionError when one is there twice."""
        ours = [(parse_key(row["Remarks"].strip()), row) for row in self.erp_invoices()]
        keys = [key for key, _ in ours if key]
        assert len(keys) == len(set(keys)), f"there twice: {[k for k, n in Counter(keys).items() if n > 1]}"
        assert {company for company, _ in keys} <= {self.contractor.company_id}
        return {key[1]: row for key, row in ours if key}

    def enter(self, document: dict[str, Any]) -> None:
        """Somebody else's program, or a clerk, enters an invoice into Spectrum."""
        user = (self.contractor.books.company_code, os.environ["TIEOUT_SPECTRUM__AUTHORIZATION_ID"])
        url = f"{self.urls['spectrum']}/vendor/invoice"
        answer = self.control.post(url, json={"APInvoices": [document]}, auth=user).json()
        assert [each["Status"] for each in answer["APInvoices"]] == ["Imported"], answer

    def lose_answers(self) -> list[int]:
        """Accept everything and lose what is sent on its way to Spectrum; return the invoices, all UNCERTAIN."""
        self.night()
        accepted = self.accept()
        self.fault("spectrum", "POST /vendor/invoice", "reset_before")
        self.export()
        assert set(self.states().values()) == {"UNCERTAIN"}
        return accepted

    def arrive(self, invoice_id: int, **changes: str) -> dict[str, Any]:
        """What we sent, or was about to be, turns up in Spectrum, changed so; return its row there."""
        with self.ledger.reading() as connection:
            [intent] = live_intents(connection, [self.item(invoice_id)]).values()
        document = {**self.erp.preview(intent.voucher), **changes}
        self.enter(document)
        return self.row(document["Vendor_Code"], document["Invoice_Number"])

    def row(self, vendor: str, number: str) -> dict[str, Any]:
        """What Spectrum holds under this vendor and number."""
        rows = [each for each in self.erp_invoices() if each["Invoice_Number"].strip() == number]
        [row] = [each for each in rows if each["Vendor_Code"].strip() == vendor]
        return row

    def act_on(self, row: dict[str, Any], action: str, **more: Any) -> None:
        """Accounting edits, deletes or voids an invoice in Spectrum."""
        self.clock.advance(seconds=2)
        who = {"vendor_code": row["Vendor_Code"].strip(), "invoice_number": row["Invoice_Number"].strip()}
        self.play("spectrum", f"invoices/{action}", {**who, **more})

    def act_on_ours(self, invoice_id: int, action: str, **more: Any) -> dict[str, Any]:
        """Accounting edits, deletes or voids an invoice of ours; return how it was before."""
        row = self.exported()[invoice_id]
        self.act_on(row, action, **more)
        return row

    def post(self, invoice_ids: Iterable[int] | None = None) -> None:
        """Accounting posts invoices of ours, or everything."""
        wanted = None
        if invoice_ids is not None:
            rows = self.exported()
            wanted = [[rows[each]["Vendor_Code"], rows[each]["Invoice_Number"]] for each in invoice_ids]
        self.clock.advance(seconds=2)
        self.play("spectrum", "post", {"invoices": wanted})

    def cut_check(self, invoice_ids: Sequence[int], check: dict[str, Any] | None = None, **application: Any) -> Any:
        """Accounting cuts one check for invoices of one vendor; amounts are what is due unless given."""
        rows = self.exported()
        [vendor] = {rows[each]["Vendor_Code"] for each in invoice_ids}
        applications = [{"invoice_number": rows[each]["Invoice_Number"], **application} for each in invoice_ids]
        self.clock.advance(seconds=2)
        body = {"vendor_code": vendor, "applications": applications, **(check or {})}
        return self.play("spectrum", "checks", body)

    def void_check(self, number: str) -> None:
        self.clock.advance(seconds=2)
        self.play("spectrum", f"checks/{number}/void")


def a_desk(
    folder: Path,
    clock: SettableClock,
    contractor: Contractor,
    stand_ins: StandIns,
    patch: pytest.MonkeyPatch,
    ledgers: Ledgers,
    ledger_url: str,
) -> Desk:
    """Open an office of this contractor; whatever both stand-ins hold is in the folder."""
    urls = {"procore": stand_ins.procore.url, "spectrum": stand_ins.spectrum.url}
    desk = Desk(folder, clock, contractor, urls, patch, ledgers)
    patch.setenv("TIEOUT_CONFIG", str(folder / "tieout.toml"))
    for section, values in stand_ins.play(contractor, folder, clock).items():
        desk.set(section, **values)
    desk.set("ledger", url=ledger_url)
    desk.set("approval", proof="name")
    patch.setenv("TIEOUT_PEOPLE", json.dumps(PEOPLE))
    return desk


def amount(row: dict[str, Any], name: str) -> Decimal:
    """Return an amount of a stand-in's row."""
    return Decimal(str(row[name]))


def of_ours(desk: Desk, invoice_id: int) -> list[dict[str, Any]]:
    """What Spectrum holds under our key that is not void."""
    key = invoice_key(desk.contractor.company_id, invoice_id)
    return [row for row in desk.erp_invoices() if row["Remarks"].strip() == key and row["state"] != "void"]


def of_one_vendor(desk: Desk, is_posted: bool = True) -> list[int]:
    """Bring everything into Spectrum; return three posted invoices of one vendor, oldest first."""
    desk.export_everything()
    if is_posted:
        desk.post()
    rows = desk.exported()
    vendor = rows[min(rows)]["Vendor_Code"]
    return sorted(invoice_id for invoice_id, row in rows.items() if row["Vendor_Code"] == vendor)


def due(desk: Desk, invoice_id: int) -> Decimal:
    row = desk.exported()[invoice_id]
    return amount(row, "Invoice_Amount") - amount(row, "Retention_Amount")


def issued(desk: Desk) -> dict[int, list[Decimal]]:
    """What Payments Issued shows, by invoice."""
    shown: dict[int, list[Decimal]] = {}
    for payment in desk.payments_issued():
        shown.setdefault(payment["requisition_id"], []).append(Decimal(payment["amount"]))
    return shown

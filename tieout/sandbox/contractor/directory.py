"""The contractor's company, people, projects, vendors, cost codes and billing periods as Procore holds them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from tieout.sandbox.contractor.applications import Deal
from tieout.sandbox.contractor.documents import Document, Paper
from tieout.sandbox.contractor.erp_books import ErpBooks, ErpInvoice, ErpJob
from tieout.sandbox.contractor.erp_codes import ROW_MAPPED, ErpSide, phase_code, plain
from tieout.sandbox.contractor.plans import LONGEST, Plan
from tieout.sandbox.contractor.trades import (
    CITIES,
    CLOSED_DOOR,
    COMPANY,
    FIRMS,
    PEOPLE,
    PROJECTS,
    STALE_CODE,
    STREETS,
    TRADES,
    UNMAPPED_CODE,
    Trade,
)
from tieout.sandbox.contractor.troubles import Repair

FIRST_ID = 562949953430144  # far beyond 32 bits, as Procore's ids may be
FIRST_JOB = 1042
BILLING_DAY = 20


class Directory:
    """Hands out ids, projects and vendors, and keeps the ERP's side of each."""

    def __init__(self, rng: random.Random, projects: int, today: date, unmapped_job: bool) -> None:
        self.rng, self.today = rng, today
        self._ids = itertools.count(FIRST_ID)
        self._instants = itertools.count()
        self._whims = itertools.cycle(range(4))
        self.company_id, self.company_name = self.new_id(), COMPANY
        self.client_id, self.client_secret = "sandbox-service-account", "sandbox-secret"
        self.erp = ErpSide(COMPANY)
        self.erp.map_codes()
        self.users = [self._user(name, login) for name, login in PEOPLE]
        self.projects: list[Document] = []
        self.periods: list[Document] = []
        self.cost_codes: list[Document] = []
        self.vendors: list[Document] = []
        self.commitments: list[Document] = []
        self.trade_of: dict[int, Trade] = {}
        self._codes_by_project: dict[int, list[Document]] = {}
        self._type_ids: dict[str, int] = {}
        self._wbs_ids: dict[tuple[int, str], int] = {}
        self.invoice_numbers: dict[int, Iterator[str]] = {}
        self.contracts_on: dict[int, int] = {}
        for position in range(projects):
            mapped = not (unmapped_job and position == projects - 1)
            self._add_project(position, _project_name(position), mapped)
        self.forbidden_project = self._add_project(projects, CLOSED_DOOR, mapped=True)["id"]

    def new_id(self) -> int:
        return next(self._ids)

    def _user(self, name: str, login: str) -> Document:
        address = f"{login}@pinecrest.example"
        return {"id": self.new_id(), "name": name, "login": address, "email_address": address, "is_active": True}

    def _add_project(self, position: int, name: str, mapped: bool) -> Document:
        number = str(FIRST_JOB + position)
        by_row = position == 2  # this one's job is known to the mapping table only
        code = number if mapped and not by_row else None
        project: Document = {
            "id": self.new_id(),
            "name": name,
            "display_name": f"{number} - {name}",
            "project_number": f"P-{number}",
            "accounting_project_number": code,
            "origin_id": code,
            "origin_code": code,
            "origin_data": None,
            "active": True,
            "time_zone": "America/Denver",
            "total_value": "0.00",
            "company": {"id": self.company_id, "name": COMPANY},
            "stage": "Course of Construction",
            "status": "Active",
            "created_at": "2025-01-06T16:00:00Z",
            "updated_at": "2025-01-06T16:00:00Z",
        }
        self.projects.append(project)
        self.erp.jobs[project["id"]] = ErpJob(number, plain(name), "A")
        if mapped and by_row:
            self.erp.map("job", project["id"], number)
        self._add_codes(project)
        self._add_periods(project)
        return project

    def _add_codes(self, project: Document) -> None:
        codes = [code for trade in TRADES for code in trade.codes] + [UNMAPPED_CODE, STALE_CODE]
        for full_code, name in codes:
            known = full_code != UNMAPPED_CODE[0] and full_code not in ROW_MAPPED
            erp_code = phase_code(full_code) if known else None
            document: Document = {
                "id": self.new_id(),
                "code": full_code.split("-")[1],
                "full_code": full_code,
                "name": name,
                "parent": {"id": None},
                "origin_id": erp_code,
                "origin_code": erp_code,
                "origin_data": None,
                "budgeted": True,
                "standard_cost_code_id": None,
                "line_item_types": [],
                "sortable_code": full_code,
                "_project_id": project["id"],
            }
            self.cost_codes.append(document)
            self._codes_by_project.setdefault(project["id"], []).append(document)

    def _add_periods(self, project: Document) -> None:
        for position, (start, end) in enumerate(_months(self.today, LONGEST + 1), 1):
            newest = position == LONGEST + 1
            self.periods.append(
                {
                    "id": self.new_id(),
                    "project_id": project["id"],
                    "position": position,
                    "start_date": start.isoformat(),
                    "end_date": end.isoformat(),
                    "due_date": (end + timedelta(days=10)).isoformat(),
                    "status": "open" if newest else "closed",
                    "created_at": f"{start.isoformat()}T12:00:00Z",
                    "updated_at": f"{start.isoformat()}T12:00:00Z",
                }
            )

    def vendor_for(self, trade: Trade, label: str) -> Document:
        """Pick a firm of the trade: one already at work on another contract, or a new one."""
        known = [v for v in self.vendors if self.trade_of[v["id"]] is trade and v["_is_sound"]]
        if known and not label.startswith("vendor-") and self.rng.random() < 0.4:
            return self.rng.choice(known)
        vendor = self._add_vendor(trade, label)
        self.trade_of[vendor["id"]] = trade
        return vendor

    def _add_vendor(self, trade: Trade, label: str) -> Document:
        vendor_id, turn = self.new_id(), len(self.vendors)
        name = self._firm(trade)
        record = self.erp.add_vendor(vendor_id, name, "I" if label == "vendor-inactive" else "A")
        by_row = turn % 7 == 3
        code = None if by_row or label == "vendor-unmapped" else record.code
        if by_row and label != "vendor-unmapped":
            self.erp.map("vendor", vendor_id, record.code)
        city, state, postcode = self.rng.choice(CITIES)
        vendor: Document = {
            "id": vendor_id,
            "name": name,
            "abbreviated_name": name[:12],
            "legal_name": f"{name}, Inc.",
            "trade_name": "",
            "address": f"{100 + turn * 7} {self.rng.choice(STREETS)}",
            "city": city,
            "state_code": state,
            "zip": postcode,
            "country_code": "US",
            "email_address": f"billing{turn}@subcontractor.example",
            "business_phone": "",
            "is_active": True,
            "synced_to_erp": code is not None,
            "origin_id": code,
            "origin_code": code,
            "origin_data": None,
            "business_register": {"type": "ein", "identifier": f"84-{1000000 + turn}"},
            "parent": None,
            "project_ids": [],
            "vendor_group": None,
            "invoice_contacts": [],
            "primary_contact": None,
            "erp_custom_fields": {},
            "origin_custom_fields": {},
            "created_at": "2025-02-03T17:00:00Z",
            "updated_at": "2025-02-03T17:00:00Z",
            "_is_sound": not label.startswith("vendor-"),
        }
        self.vendors.append(vendor)
        self.invoice_numbers[vendor_id] = self._numbers(turn)
        return vendor

    def _firm(self, trade: Trade) -> str:
        taken = {vendor["name"] for vendor in self.vendors}
        firms = self.rng.sample(FIRMS, len(FIRMS))
        for ending, firm in itertools.product(("", " Co.", " Group", " West", " Partners"), firms):
            if (name := f"{firm} {trade.name}{ending}") not in taken:
                return name
        return f"{trade.name} Subcontractor {len(taken) + 1}"

    def _numbers(self, turn: int) -> Iterator[str]:
        """Number a firm's invoices in its own style; no two of a firm are alike, however one looks at them."""
        style = ("INV-{}", "{}", "PA {}", "26-{}", "AR{}/A")[turn % 5]
        return (style.format(number) for number in itertools.count(1001 + self.rng.randrange(7000), 3))

    def erp_code_of_vendor(self, vendor: Document) -> str:
        return self.erp.vendors[vendor["id"]].code

    def papers(self, plan: Plan, project: Document, vendor: Document) -> list[Paper]:
        """One month after the other, the newest in the open billing period."""
        periods = [p for p in self.periods if p["project_id"] == project["id"]][-plan.months :]
        author = self.rng.choice(self.users)
        papers = []
        for month, period in enumerate(periods):
            start = date.fromisoformat(period["start_date"])
            billed = min(start.replace(day=BILLING_DAY), max(start, self.today - timedelta(days=1)))
            status = plan.statuses.get(month, "approved")
            number = next(self.invoice_numbers[vendor["id"]])
            shown = {key: author[key] for key in ("id", "name", "login")}
            papers.append(
                Paper(self.new_id(), period, number, status, billed.isoformat(), shown, self._instant(billed))
            )
        return papers

    def _instant(self, on: date) -> str:
        turn = next(self._instants)
        noon = datetime.combine(on, time(6), UTC) + timedelta(seconds=turn % 21600, microseconds=turn)
        return noon.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def next_whim(self) -> int:
        """Which of the four ways a sound contract's last month goes; each way has its turn."""
        return next(self._whims)

    def cost_codes_of(self, project_id: int) -> list[Document]:
        return self._codes_by_project[project_id]

    def company(self) -> Document:
        return {"id": self.company_id, "name": self.company_name}

    def type_id(self, kind: str) -> int:
        """The id of a line item type; types belong to the company, so every project shows the same."""
        return self._type_ids.setdefault(kind, self.new_id())

    def wbs_id(self, cost_code_id: int, kind: str) -> int:
        return self._wbs_ids.setdefault((cost_code_id, kind), self.new_id())

    def stale_phase_is_closed(self, project_id: int) -> bool:
        """In every other project the stale phase exists but is closed; in the rest the ERP never heard of it."""
        return self.erp.jobs[project_id].number[-1] in "02468"

    def repairs_of(self, label: str, deal: Deal) -> list[Repair]:
        """Say what someone in Procore would set to make a trouble of the master data go away."""
        vendor, commitment = deal.vendor, deal.commitment
        if label == "vendor-unmapped":
            code = self.erp_code_of_vendor(vendor)
            return [_set("vendors", vendor["id"], origin_code=code, origin_id=code)]
        if label == "job-unmapped":
            job = self.erp.jobs[deal.project["id"]].number
            return [_set("projects", deal.project["id"], origin_code=job, origin_id=job)]
        if label == "subcontract-unmapped":
            number = commitment["_erp_number"]
            return [_set("commitments", commitment["id"], origin_code=number, origin_id=number)]
        if label == "phase-unmapped":
            code_id, erp_code = deal.sov[0]["cost_code"]["id"], phase_code(UNMAPPED_CODE[0])
            return [_set("cost_codes", code_id, origin_code=erp_code, origin_id=erp_code)]
        if label == "cost-type-unmapped":
            kinds = [{"id": deal.sov[0]["id"], "line_item_type": {"origin_id": "OTH"}}]
            return [_set("commitments", commitment["id"], line_items=kinds)]
        return []

    def books(self, invoices: tuple[ErpInvoice, ...]) -> ErpBooks:
        months = _months(self.today, LONGEST + 1)
        return self.erp.books(invoices, (months[0][0], months[-1][1]))

    def mapping_rows(self) -> list[dict[str, str]]:
        return self.erp.rows


def _set(kind: str, record_id: int, **fields: object) -> Repair:
    return {"kind": kind, "id": record_id, "fields": fields}


def _project_name(position: int) -> str:
    again, place = divmod(position, len(PROJECTS))
    return PROJECTS[place] + (f" Phase {again + 1}" if again else "")


def _months(today: date, count: int) -> list[tuple[date, date]]:
    """The last `count` calendar months, the one of `today` at the end."""
    starts = [today.replace(day=1)]
    while len(starts) <= count:
        starts.insert(0, (starts[0] - timedelta(days=1)).replace(day=1))
    nexts = [*starts[1:], (starts[-1] + timedelta(days=31)).replace(day=1)]
    return [(start, following - timedelta(days=1)) for start, following in zip(starts, nexts, strict=True)][-count:]

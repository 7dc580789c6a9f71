"""The other people of the demo, played through the stand-ins' control endpoints."""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from tieout.connectors.base import parse_key

Row = dict[str, Any]
_SENT_BY_NIGHT = "approved"
_REFUSED_BY_ERP = "already-in-erp"
_SECONDS = 120.0  # a real ERP takes its time to post a batch


@dataclass(frozen=True)
class Site:
    """A project of the sandbox, with how many sound invoices wait in it."""

    project_id: int
    name: str
    sound: int
    is_refused_one: bool  # has an invoice that only the ERP can refuse


class Cast:
    """Whoever works in Procore and in the ERP while tieout runs."""

    def __init__(self, procore: str, erp: str) -> None:
        """Speak to whoever plays them at these addresses."""
        self._procore = httpx.Client(base_url=f"{procore}/_sandbox", timeout=_SECONDS, trust_env=False)
        self._erp = httpx.Client(base_url=f"{erp}/_sandbox", timeout=_SECONDS, trust_env=False)

    def close(self) -> None:
        """Release the connections."""
        self._procore.close()
        self._erp.close()

    def sites(self) -> list[Site]:
        """Return the projects that we may see, the ones with most to show first."""
        invoices = _get(self._procore, "requisitions")
        waiting = [each for each in invoices if each["status"] == _SENT_BY_NIGHT]
        sound = Counter(each["project_id"] for each in waiting if not each["trouble"])
        refused = {each["project_id"] for each in waiting if each["trouble"] == _REFUSED_BY_ERP}
        projects = _get(self._procore, "contractor")["projects"]
        sites = [Site(each["id"], each["name"], sound[each["id"]], each["id"] in refused) for each in projects]
        return sorted(sites, key=lambda site: (not site.is_refused_one, -site.sound))

    def post(self, batch: str) -> int:
        """Post a batch."""
        return int(_post(self._erp, "post", {"batch_code": batch})["posted"])

    def pay_some(self) -> list[Row]:
        """Cut a check over several invoices of one vendor, one that pays a part, and one that is voided at once."""
        by_vendor: dict[str, list[Row]] = {}
        for row in self.erp_invoices():
            if row["state"] == "posted" and not Decimal(row["paid"]):
                by_vendor.setdefault(row["Vendor_Code"], []).append(row)
        groups = sorted(by_vendor.values(), key=len, reverse=True)
        together, rest = (groups[0][:3], [row for group in groups[1:] for row in group]) if groups else ([], [])
        checks = [{"what": f"pays {len(together)} invoices", **self._pay(together)}] if together else []
        if rest:
            part = (_due(rest[0]) * Decimal("0.4")).quantize(Decimal("0.01"))
            checks.append({"what": "pays a part of one", **self._pay(rest[:1], part)})
        if len(rest) > 1:
            voided = self._pay(rest[1:2])
            _post(self._erp, f"checks/{voided['check_number']}/void", {})
            checks.append({"what": "pays one invoice, is voided", **voided})
        return checks

    def stop_using(self, vendor: str) -> None:
        """Set a vendor inactive."""
        _post(self._erp, "vendors", {"code": vendor, "status": "I"})

    def erp_invoices(self) -> list[Row]:
        """Return every invoice in the ERP's database that bears our key."""
        return [row for row in _get(self._erp, "invoices") if parse_key(row["Remarks"].strip())]

    def erp_state(self) -> Row:
        """Return what the ERP's database holds, in counts and sums."""
        state: Row = _get(self._erp, "state")
        return state

    def payments_issued(self) -> list[Row]:
        """Return the rows of every Payments Issued tab."""
        rows: list[Row] = _get(self._procore, "payments")
        return rows

    def procore_state(self) -> Row:
        """Return what Procore holds, in counts and sums."""
        state: Row = _get(self._procore, "state")
        return state

    def _pay(self, rows: list[Row], amount: Decimal | None = None) -> Row:
        applications = [
            {"invoice_number": row["Invoice_Number"], "amount": None if amount is None else str(amount)} for row in rows
        ]
        check: Row = _post(self._erp, "checks", {"vendor_code": rows[0]["Vendor_Code"], "applications": applications})
        return check


def _due(row: Row) -> Decimal:
    return Decimal(row["Invoice_Amount"]) - Decimal(row["Retention_Amount"])


def _get(client: httpx.Client, path: str) -> Any:
    return client.get(f"/{path}").raise_for_status().json()


def _post(client: httpx.Client, path: str, body: Row) -> Any:
    return client.post(f"/{path}", json=body).raise_for_status().json()

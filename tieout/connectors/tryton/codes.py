"""What vouchers name by codes, with Tryton's own ids in their place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from data_contracts.voucher import Refused, Voucher, VoucherLine
from tieout.connectors.tryton.company import Company
from tieout.connectors.tryton.rpc import Calls, chunks
from tieout.connectors.tryton.settings import Axis, Settings
from tieout.connectors.tryton.translation import SIGNED, to_wire
from tieout.connectors.tryton.values import Row


class AnalyticCode(NamedTuple):
    """What names an analytic account."""

    axis: Axis
    code: str
    job: str = ""  # of a phase


class Coding(NamedTuple):
    """What tells the lines of subcontracts apart; an id is 0 where a line has none."""

    contract: str
    phase_id: int
    cost_type_id: int


@dataclass(frozen=True)
class Codes:
    """Tryton's ids of all that some vouchers name by codes."""

    company: Company
    vendors: dict[str, Row]
    accounts: dict[str, int]
    products: dict[str, Row]
    analytic: dict[AnalyticCode, int]
    origins: dict[Coding, Row]  # the lines of purchases

    @classmethod
    def of(cls, calls: Calls, company: Company, vouchers: Sequence[Voucher]) -> "Codes":
        """Look all of them up, with a few reads however many they are."""
        lines = [line for voucher in vouchers for line in voucher.lines]
        analytic = _analytic(calls, company, lines)
        codes = sorted({voucher.vendor_erp for voucher in vouchers})
        fields = ["code", "active", "addresses", "account_payable"]
        parties = calls.every("party.party", [["code", "in", codes]], fields, active_test=False)
        wanted = sorted({line.gl_account for line in lines if line.gl_account})
        accounts = [["company", "=", company.company_id], ["code", "in", wanted], ["closed", "!=", True]]
        products = [["code", "in", sorted({line.cost_type for line in lines})]]
        return cls(
            company=company,
            vendors={row["code"]: row for row in parties},
            accounts={row["code"]: row["id"] for row in calls.every("account.account", accounts, ["code"])},
            products={row["code"]: row for row in calls.every("product.product", products, ["code", "default_uom"])},
            analytic=analytic,
            origins=_origins(calls, company, sorted({voucher.contract_erp for voucher in vouchers})),
        )

    def document(self, voucher: Voucher, settings: Settings) -> Row | Refused:
        """Return the record to create, or the refusal with every reason why it cannot be."""
        reasons: list[str] = []
        vendor, company = self._vendor(voucher.vendor_erp, reasons), self.company
        if voucher.currency != company.currency:
            reasons.append(f"Its currency is {voucher.currency}, the company's is {company.currency}")
        document = to_wire(voucher, settings)
        lines = [self._line(voucher, *each, reasons) for each in zip(voucher.lines, document["lines"], strict=False)]
        if voucher.retention:
            lines.append(self._common() | document["lines"][-1] | {"account": company.retention_id})
        if reasons:
            return Refused(key=voucher.key, reasons=tuple(dict.fromkeys(reasons)))
        return document | {
            "company": company.company_id,
            "currency": company.currency_id,
            "journal": company.journal_id,
            "party": vendor["id"],
            "invoice_address": vendor["addresses"][0],
            "account": vendor["account_payable"] or company.payable_id,
            "lines": [["create", lines]],
        }

    def _vendor(self, code: str, reasons: list[str]) -> Row:
        vendor = self.vendors.get(code, {})
        if not vendor:
            reasons.append(f"Vendor {code} does not exist")
        elif not vendor["active"]:
            reasons.append(f"Vendor {code} is not active")
        elif not vendor["addresses"]:
            reasons.append(f"Vendor {code} has no address")
        return vendor

    def _line(self, voucher: Voucher, line: VoucherLine, document: Row, reasons: list[str]) -> Row:
        ids = self._axes(line, reasons)
        product = _known(self.products.get(line.cost_type), f"Product {line.cost_type}", reasons)
        account = _known(self.accounts.get(line.gl_account or ""), f"Account {line.gl_account}", reasons)
        origin = self.origins.get(Coding(voucher.contract_erp, ids["phase"] or 0, ids["cost_type"] or 0))
        if origin is None:
            coding = f"phase {line.phase}, cost type {line.cost_type}"
            reasons.append(f"Subcontract {voucher.contract_erp} is not signed, or has no line of {coding}")
        if origin is None or None in (product, account, *ids.values()):
            return {}
        if origin["purchase."]["party"] != self.vendors.get(voucher.vendor_erp, {}).get("id"):
            reasons.append(f"Subcontract {voucher.contract_erp} is of another vendor than {voucher.vendor_erp}")
        named = {
            "origin": f"purchase.line,{origin['id']}",
            "product": product["id"],
            "unit": product["default_uom"],
            "account": account,
            "analytic_accounts": [
                ["create", [{"root": self.company.roots[axis], "account": each} for axis, each in ids.items()]]
            ],
        }
        return self._common() | document | named

    def _axes(self, line: VoucherLine, reasons: list[str]) -> dict[Axis, int | None]:
        job, phase, cost_type = line.job, line.phase, line.cost_type
        wanted = {
            AnalyticCode("job", job): f"Job {job}",
            AnalyticCode("phase", phase, job): f"Phase {phase} of job {job}",
            AnalyticCode("cost_type", cost_type): f"Cost type {cost_type}",
        }
        return {code.axis: _known(self.analytic.get(code), what, reasons) for code, what in wanted.items()}

    def _common(self) -> Row:
        shared = {"company": self.company.company_id, "currency": self.company.currency_id}
        return {"type": "line", "invoice_type": "in", **shared}


def _known(found: Any, what: str, reasons: list[str]) -> Any:
    if found is None:
        reasons.append(f"{what} does not exist, or is closed")
    return found


def _analytic(calls: Calls, company: Company, lines: Sequence[VoucherLine]) -> dict[AnalyticCode, int]:
    codes = sorted({code for line in lines for code in (line.job, line.phase, line.cost_type)})
    domain = [["root", "in", list(company.roots.values())], ["code", "in", codes]]
    domain += [["type", "=", "normal"], ["state", "=", "opened"]]
    axes = {root: axis for axis, root in company.roots.items()}
    found: dict[AnalyticCode, int] = {}
    for row in calls.every("analytic_account.account", domain, ["code", "root", "parent.code"]):
        axis = axes[row["root"]]
        found[AnalyticCode(axis, row["code"], row["parent."]["code"] if axis == "phase" else "")] = row["id"]
    return found


def _origins(calls: Calls, company: Company, contracts: Sequence[str]) -> dict[Coding, Row]:
    """Return the lines of these purchases by what they cost; of several alike the first."""
    domain: list[Any] = [["purchase.company", "=", company.company_id], ["purchase.reference", "in", contracts]]
    domain += [["purchase.state", "in", SIGNED], ["type", "=", "line"]]
    fields = ["purchase.reference", "purchase.party"]
    lines = {f"purchase.line,{row['id']}": row for row in calls.every("purchase.line", domain, fields)}
    phase, cost_type = company.roots["phase"], company.roots["cost_type"]
    spent: dict[str, dict[int, int]] = {}
    for origins in chunks(sorted(lines)):
        coded = [["origin", "in", origins], ["root", "in", [phase, cost_type]]]
        for row in calls.every("analytic.account.entry", coded, ["origin", "root", "account"]):
            spent.setdefault(row["origin"], {})[row["root"]] = row["account"]
    found: dict[Coding, Row] = {}
    for origin, row in lines.items():
        by_root = spent.get(origin, {})
        coding = Coding(row["purchase."]["reference"], by_root.get(phase) or 0, by_root.get(cost_type) or 0)
        found.setdefault(coding, row)
    return found

"""The sandbox contractor ties out, can be mapped, and breaks only where its labels say so.

The arithmetic is written anew here, from the paper form, so that the generator is not its own witness.
"""

from collections import Counter, defaultdict
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest

from tieout.sandbox.contractor.contractor import Contractor, build

TODAY = date(2026, 11, 21)
SENDABLE = {"approved", "approved_as_noted", "pending_owner_approval"}
FIGURES = {
    "line-adds-up",
    "line-identity",
    "continues-previous",
    "lines-sum",
    "header-foots",
    "retainage-bounds",
    "unit-price",
    "nothing-to-post",
    "net-negative",
    "release-only",
    "unreadable",
}


@pytest.fixture(scope="module", params=[(1, 60), (7, 300)], ids=["seed 1", "seed 7"])
def contractor(request: pytest.FixtureRequest) -> Contractor:
    seed, invoices = request.param
    return build(seed, invoices=invoices, today=TODAY)


def money(text: object) -> Decimal:
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not text")
    return Decimal(text)


def thread(item: dict) -> int:
    return item["line_item_id"] or item["commitment_line_item_id"]


def gross(requisition: dict) -> Decimal:
    """Column G now less column G before, over all lines."""
    return sum(
        money(item["total_completed_and_stored_to_date"])
        - money(item["total_completed_and_stored_to_date_from_previous"])
        for item in requisition["items"]
    )


def held_on_work(item: dict) -> Decimal:
    return (
        money(item["work_completed_retainage_from_previous_application"])
        + money(item["work_completed_retainage_retained_this_period"])
        - money(item["work_completed_retainage_released_this_period"])
    )


def broken_rules(requisition: dict, before: dict | None) -> set[str]:
    """Name the rules of the form that the figures break."""
    if not isinstance(requisition["billing_date"], str):
        return {"unreadable"}
    try:
        return _line_rules(requisition) | _header_rules(requisition) | _continuity(requisition, before)
    except TypeError:
        return {"unreadable"}


def _line_rules(requisition: dict) -> set[str]:
    broken = set()
    for item in requisition["items"]:
        d = money(item["work_completed_from_previous_application"])
        e = money(item["work_completed_this_period"])
        f, f_before = (
            money(item["materials_presently_stored"]),
            money(item["materials_presently_stored_from_previous_progress"]),
        )
        g, g_before = (
            money(item["total_completed_and_stored_to_date"]),
            money(item["total_completed_and_stored_to_date_from_previous"]),
        )
        if item["accounting_method"] == "unit":
            price, cent = money(item["scheduled_unit_price"]), Decimal("0.01")
            made = money(item["work_completed_this_period_quantity"]) * price
            if made.quantize(cent, ROUND_HALF_UP) != e:
                broken.add("unit-price")
        if g != d + e + f:
            broken.add("line-adds-up")
        if g - g_before != e + (f - f_before) + money(item["materials_moved"]):
            broken.add("line-identity")
        on_work, on_stored = held_on_work(item), money(item["materials_stored_retainage_currently_retained"])
        if not 0 <= on_work <= max(d + e, Decimal(0)) or not 0 <= on_stored <= f:
            broken.add("retainage-bounds")
    return broken


def _header_rules(requisition: dict) -> set[str]:
    s = {name: money(value) for name, value in requisition["summary"].items() if name != "formatted_period"}
    items = requisition["items"]
    broken = set()
    if s["total_completed_and_stored_to_date"] != sum(
        money(item["total_completed_and_stored_to_date"]) for item in items
    ):
        broken.add("lines-sum")
    feet = (
        s["contract_sum_to_date"] == s["original_contract_sum"] + s["net_change_by_change_orders"],
        s["contract_sum_to_date"] == sum(money(item["scheduled_value"]) for item in items),
        s["total_retainage"] == s["completed_work_retainage_amount"] + s["stored_materials_retainage_amount"],
        s["completed_work_retainage_amount"] == sum(held_on_work(item) for item in items),
        s["stored_materials_retainage_amount"]
        == sum(money(item["materials_stored_retainage_currently_retained"]) for item in items),
        s["total_earned_less_retainage"] == s["total_completed_and_stored_to_date"] - s["total_retainage"],
        s["current_payment_due"]
        == s["total_earned_less_retainage"]
        - s["less_previous_certificates_for_payment"]
        + s["tax_applicable_to_this_payment"],
        s["balance_to_finish_including_retainage"] == s["contract_sum_to_date"] - s["total_earned_less_retainage"],
    )
    if not all(feet):
        broken.add("header-foots")
    billed = gross(requisition)
    if billed < 0:
        broken.add("net-negative")
    if billed == 0:
        released = any(money(item["work_completed_retainage_released_this_period"]) for item in requisition["items"])
        broken.add("release-only" if released else "nothing-to-post")
    return broken


def _continuity(requisition: dict, before: dict | None) -> set[str]:
    """What this invoice calls previous must be what the one before called to date."""
    earlier = {thread(item): item for item in before["items"]} if before else {}
    earned = money(before["summary"]["total_earned_less_retainage"]) if before else Decimal(0)
    same = money(requisition["summary"]["less_previous_certificates_for_payment"]) == earned
    for item in requisition["items"]:
        past = earlier.get(thread(item))
        g = money(past["total_completed_and_stored_to_date"]) if past else Decimal(0)
        f = money(past["materials_presently_stored"]) if past else Decimal(0)
        held = held_on_work(past) if past else Decimal(0)
        moved = money(item["materials_retainage_retained_moved"])
        same &= money(item["total_completed_and_stored_to_date_from_previous"]) == g
        same &= money(item["materials_presently_stored_from_previous_progress"]) == f
        same &= money(item["work_completed_retainage_from_previous_application"]) == held + moved
    return set() if same else {"continues-previous"}


def with_previous(contractor: Contractor) -> list[tuple[dict, dict | None]]:
    by_id = {requisition["id"]: requisition for requisition in contractor.requisitions}
    return [(requisition, by_id.get(requisition["previous_requisition_id"])) for requisition in by_id.values()]


def test_every_figure_breaks_exactly_the_rule_of_its_label(contractor: Contractor) -> None:
    for requisition, before in with_previous(contractor):
        label = contractor.troubles.get(requisition["id"], "")

        assert broken_rules(requisition, before) == ({label} & FIGURES), requisition["id"]


def test_every_label_occurs_and_the_share_is_moderate(contractor: Contractor) -> None:
    labels = Counter(contractor.troubles.values())

    assert len(labels) == (26 if len(contractor.requisitions) >= 100 else 25)
    assert len(contractor.troubles) <= max(28, 0.25 * len(contractor.requisitions))
    assert set(contractor.warnings.values()) == {"over-billed"}


def test_all_statuses_occur_and_a_trouble_is_always_in_an_approved_invoice(contractor: Contractor) -> None:
    statuses = Counter(requisition["status"] for requisition in contractor.requisitions)
    troubled = {r["status"] for r in contractor.requisitions if r["id"] in contractor.troubles}

    assert set(statuses) == SENDABLE | {"draft", "under_review", "revise_and_resubmit"}
    assert troubled == {"approved"}


def test_numbers_are_unique_per_vendor_unless_labelled(contractor: Contractor) -> None:
    seen: dict[tuple[int, str], set[str]] = defaultdict(set)
    for requisition in contractor.requisitions:
        plain = "".join(c for c in requisition["invoice_number"].lower() if c.isalnum())
        words = "".join(part.lstrip("0") for part in _split_digits(plain))
        seen[requisition["vendor_id"], words].add(contractor.troubles.get(requisition["id"], ""))
        counted = Counter((r["vendor_id"], r["invoice_number"]) for r in contractor.requisitions)
        if counted[requisition["vendor_id"], requisition["invoice_number"]] > 1:
            assert contractor.troubles[requisition["id"]] == "number-duplicate"

    shared = [labels for (_, words), labels in seen.items() if words and "number-duplicate" in labels]
    assert all(labels == {"number-duplicate"} for labels in shared)


def _split_digits(text: str) -> list[str]:
    parts, last = [""], ""
    for char in text:
        if char.isdigit() != last.isdigit() and last:
            parts.append("")
        parts[-1] += char
        last = char
    return parts


def erp_codes(contractor: Contractor) -> dict[tuple[str, str], str]:
    return {(row["kind"], row["procore"]): row["erp"] for row in contractor.mapping_rows}


def coding_problems(contractor: Contractor, requisition: dict) -> set[str]:
    """Map the invoice as an integration would: the code that Procore carries, else the table."""
    rows, books = erp_codes(contractor), contractor.books
    project = next(p for p in contractor.projects if p["id"] == requisition["project_id"])
    vendor = next(v for v in contractor.vendors if v["id"] == requisition["vendor_id"])
    commitment = next(c for c in contractor.commitments if c["id"] == requisition["commitment_id"])
    job = project["origin_code"] or rows.get(("job", str(project["id"])))
    vendor_code = vendor["origin_code"] or rows.get(("vendor", str(vendor["id"])))
    number = commitment["origin_code"] or rows.get(("subcontract", str(commitment["id"])))
    problems = set()
    if not job:
        return {"job-unmapped"}
    if not vendor_code:
        problems.add("vendor-unmapped")
    elif next(v for v in books.vendors if v.code == vendor_code).status != "A":
        problems.add("vendor-inactive")
    if not number:
        problems.add("subcontract-unmapped")
    elif requisition["commitment_type"] == "PurchaseOrderContract":
        problems.add("purchase-order")
    elif vendor_code:
        subcontract = next(s for s in books.subcontracts if s.number == number)
        assert (subcontract.vendor_code, subcontract.job) == (vendor_code, job)
    return problems | _phase_problems(contractor, commitment, requisition, job)


def _phase_problems(contractor: Contractor, commitment: dict, requisition: dict, job: str) -> set[str]:
    rows, problems = erp_codes(contractor), set()
    active = {(p.job, p.phase_code, p.cost_type) for p in contractor.books.phases if p.status == "A"}
    codes = {code["id"]: code for code in contractor.cost_codes}
    lines = {line["id"]: line for line in commitment["line_items"]}
    for item in requisition["items"]:
        code, kind = codes[item["cost_code_id"]], lines[thread(item)]["line_item_type"]
        phase = code["origin_id"] or rows.get(("phase", code["full_code"]))
        cost_type = kind["origin_id"] or rows.get(("cost_type", kind["code"]))
        if not phase:
            problems.add("phase-unmapped")
        if not cost_type:
            problems.add("cost-type-unmapped")
        if phase and cost_type and (job, phase, cost_type) not in active:
            problems.add("coding-not-in-erp")
    return problems


CODING = {
    "vendor-unmapped",
    "vendor-inactive",
    "subcontract-unmapped",
    "purchase-order",
    "phase-unmapped",
    "cost-type-unmapped",
    "coding-not-in-erp",
    "job-unmapped",
}


def test_codes_map_except_where_labelled(contractor: Contractor) -> None:
    for requisition in contractor.requisitions:
        label = contractor.troubles.get(requisition["id"], "")

        assert coding_problems(contractor, requisition) == ({label} & CODING), requisition["id"]


def test_a_fifth_project_has_no_job_in_the_erp() -> None:
    contractor = build(5, projects=5, invoices=80, today=TODAY)
    unmapped = {i for i, label in contractor.troubles.items() if label == "job-unmapped"}
    inside = {r["id"] for r in contractor.requisitions if r["project_id"] == contractor.projects[4]["id"]}

    assert unmapped == inside != set()
    for requisition in contractor.requisitions:
        label = contractor.troubles.get(requisition["id"], "")
        assert coding_problems(contractor, requisition) == ({label} & CODING)


def test_header_troubles_are_what_they_are_called(contractor: Contractor) -> None:
    held = {(i.vendor_code, i.number) for i in contractor.books.invoices}
    codes = {
        v["id"]: v["origin_code"] or erp_codes(contractor).get(("vendor", str(v["id"]))) for v in contractor.vendors
    }
    packages = {p["id"]: p for c in contractor.commitments for p in c["change_order_packages"]}
    for requisition in contractor.requisitions:
        number, billed = requisition["invoice_number"], requisition["billing_date"]
        start, end = requisition["requisition_start"], requisition["requisition_end"]
        found = {
            "number-missing": not number,
            "number-too-long": len(number) > 20,
            "already-in-erp": (codes[requisition["vendor_id"]], number) in held,
            "dates": isinstance(billed, str) and (billed[:2] != "20" or billed[:4] > "2027" or end < start),
            "currency": requisition["currency_configuration"]["currency_iso_code"] != "USD",
            "tax-not-carried": float(requisition["summary"]["tax_applicable_to_this_payment"]) != 0,
            "change-order-unapproved": any(
                packages[item["change_order_package_id"]]["status"] != "approved"
                and float(item["work_completed_this_period"])
                for item in requisition["items"]
                if "change_order_package_id" in item
            ),
        }

        assert {rule for rule, is_found in found.items() if is_found} == (
            {contractor.troubles.get(requisition["id"])} & set(found)
        )


def test_the_believable_cases_all_occur() -> None:
    contractor = build(7, invoices=300, today=TODAY)
    items = [item for requisition in contractor.requisitions for item in requisition["items"]]
    types = {item["item_type"] for item in items}

    assert types == {"contract_item", "contract_detail_item", "change_order_item"}
    assert any(float(item["materials_moved"]) for item in items)
    assert any(float(item["materials_presently_stored"]) for item in items)
    assert any(float(item["work_completed_this_period"]) < 0 for item in items)
    assert any(float(item["scheduled_value"]) < 0 for item in items)
    assert any(item["scheduled_value"] == "0.00" for item in items)
    assert any(item["ssr_manual_override"] for item in items)
    assert any(item["accounting_method"] == "unit" for item in items)
    assert {r["invoice_type"] for r in contractor.requisitions} == {
        "progress",
        "progress_and_retainage_release",
        "retainage_release",
    }
    assert any(not v["name"].isascii() for v in contractor.vendors)
    assert min(r["id"] for r in contractor.requisitions) > 2**32


def test_widths_of_the_erp_are_kept(contractor: Contractor) -> None:
    books = contractor.books

    assert all(len(vendor.code) <= 10 and vendor.code.isascii() for vendor in books.vendors)
    assert len({vendor.code for vendor in books.vendors}) == len(books.vendors)
    assert all(len(s.number) <= 10 for s in books.subcontracts)
    assert all(len(p.phase_code) <= 20 and "-" not in p.phase_code for p in books.phases)
    assert {p.cost_type for p in books.phases} <= {c.code for c in books.cost_types}
    first, last = books.open_period
    assert all(
        first <= date.fromisoformat(r["billing_date"]) <= last
        for r in contractor.requisitions
        if contractor.troubles.get(r["id"]) not in ("dates", "unreadable")
    )


def test_the_same_seed_gives_the_same_contractor() -> None:
    assert build(3, today=TODAY) == build(3, today=TODAY)
    assert build(3, today=TODAY) != build(4, today=TODAY)


@pytest.mark.parametrize("invoices", [1, 2, 5, 17, 33, 60])
def test_the_number_of_invoices_is_exact(invoices: int) -> None:
    assert len(build(2, invoices=invoices, today=TODAY).requisitions) == invoices


def test_without_troubles_all_are_approved_and_sound() -> None:
    contractor = build(1, invoices=100, lines=20, troubles=False, today=TODAY)

    assert not contractor.troubles
    for requisition, before in with_previous(contractor):
        assert requisition["status"] == "approved"
        assert broken_rules(requisition, before) == set()
        assert coding_problems(contractor, requisition) == set()

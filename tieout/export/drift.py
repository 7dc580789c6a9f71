"""What is no longer as it was exported, in words with the remedy. Pure; who looks is `observation.py`."""

import json
from collections.abc import Mapping, Sequence
from itertools import islice

from data_contracts.fetched import UnreadableInvoice
from data_contracts.invoice import SENDABLE, Invoice
from data_contracts.reference import Finding
from data_contracts.voucher import ErpInvoice, Voucher
from tieout.connectors.base import Capabilities
from tieout.errors import MismatchError
from tieout.export.reasons import LABELS, UNREADABLE, in_short, shown
from tieout.ledger import states
from tieout.ledger.digests import canonical, digest_of_facts
from tieout.ledger.items import Item
from tieout.ledger.links import LINKED
from tieout.ledger.sightings import Sighting

TWO = "two-in-erp"
Differences = Mapping[str, tuple[str, str]]  # by field: as it was exported, as it is now
_IN_MESSAGE, _IN_TABLE = 4, 40  # differences that are told


def open_drift(item: Item) -> list[Finding]:
    """Return what differs from what was exported and nobody let stand."""
    return [Finding.model_validate(each) for each in json.loads(item.drift)] if item.state in LINKED else []


def unread(item: Item) -> list[str]:
    """Return why nobody can tell of an AP invoice that was gone whether it is back; sent again it is paid twice."""
    there = open_drift(item) if item.state == states.GONE else []
    return [f"{each.message} {each.remedy}" for each in there if each.rule == UNREADABLE]


def as_text(findings: Sequence[Finding]) -> str:
    """Return the differences as the ledger keeps them."""
    return canonical([each.model_dump(mode="json") for each in findings])


def digest(findings: Sequence[Finding]) -> str:
    """Return what stands for these differences, however they are put in words."""
    return digest_of_facts([(each.rule, each.numbers) for each in findings])


def in_erp(item: Item, voucher: Voucher, there: Sequence[ErpInvoice], menu_path: str) -> list[Finding]:
    """Compare what the ERP shows under our key with the voucher that we sent."""
    system = item.erp.capitalize()
    present = [each for each in there if each.state != "void"]
    if not present:
        return [_gone(item, system, is_void=bool(there))]
    if len(present) > 1:
        return [_two(item, system, present)]
    differences = _unlike_voucher(voucher, present[0])
    if not differences:
        return []
    remedy = f"Have it put back in {system} ({menu_path}). If it should stay so, {_run('acknowledge-drift', item)}."
    if {"vendor", "invoice number"} & differences.keys():
        remedy += " tieout does not find its payments as long as vendor and number differ."
    return [_finding("changed-in-erp", f"Changed in {system} since its export", differences, remedy, "accounting")]


def in_procore(
    item: Item,
    seen: Sighting,
    exported: Invoice | UnreadableInvoice,
    now: Invoice | UnreadableInvoice,
    capabilities: Capabilities,
) -> list[Finding]:
    """Compare what Procore showed last with the invoice that was exported."""
    system = item.erp.capitalize()
    known = _run("acknowledge-drift", item)
    stays = f"If it should stay so, correct the AP invoice in {system} ({capabilities.menu_path}) and {known}."
    if seen.is_gone:
        told = {"in Procore": "deleted"}
        return [_simple("deleted-in-procore", "Procore no longer has this invoice.", told, stays, "project manager")]
    differences = since(exported, now, seen)
    if not differences:
        return []
    if capabilities.update and item.state == states.EXPORTED and seen.may_be_sent:
        stays = f"To have {system} take it over, {_run('refresh-invoice', item)}. {stays}"
    remedy = f"Have it put back in Procore. {stays}"
    changed = "Changed in Procore since its export"
    return [_finding("changed-in-procore", changed, differences, remedy, "project manager", seen.content_hash)]


def since(
    held: Invoice | UnreadableInvoice, now: Invoice | UnreadableInvoice, seen: Sighting
) -> dict[str, tuple[str, str]]:
    """Return by field what Procore shows otherwise than the invoice that we hold."""
    if seen.is_gone:
        return {"in Procore": ("there", "deleted")}
    differences: dict[str, tuple[str, str]] = {}
    if seen.status not in SENDABLE:
        differences["status"] = ("could be sent", seen.status.replace("_", " "))
    if isinstance(held, Invoice) and isinstance(now, Invoice):
        return differences | {_label(name): pair for name, pair in held.differences(now).items()}
    if held == now:
        return differences
    was, is_ = ("readable" if isinstance(each, Invoice) else "; ".join(each.reasons[:3]) for each in (held, now))
    return differences | {"content": (was, is_)}


def _unlike_voucher(voucher: Voucher, there: ErpInvoice) -> dict[str, tuple[str, str]]:
    pairs = {LABELS[name]: (shown(voucher, name), shown(there, name)) for name in there.differences(voucher)}
    if there.invoice_on and there.invoice_on != voucher.invoice_on:
        pairs["invoice date"] = (str(voucher.invoice_on), str(there.invoice_on))
    if there.key != voucher.key:  # it was found by vendor and number
        pairs["our key"] = (voucher.key, there.key or "")
    return pairs


def _finding(
    rule: str, head: str, differences: Differences, remedy: str, owner: str, content_hash: str = ""
) -> Finding:
    pairs = {name: f"{sent or 'none'} → {now or 'none'}" for name, (sent, now) in differences.items()}
    told = [f"{name} {pair}" for name, pair in islice(pairs.items(), _IN_MESSAGE)]
    told += [f"and {len(pairs) - _IN_MESSAGE} more"] if len(pairs) > _IN_MESSAGE else []
    numbers = dict(islice(pairs.items(), _IN_TABLE))
    if len(pairs) > _IN_TABLE:  # the hash tells other changes apart that are not listed
        numbers["and more"] = f"{len(pairs) - _IN_TABLE} (content {content_hash[:12]})"
    return _simple(rule, f"{head}: {'; '.join(told)}.", numbers, remedy, owner)


def _gone(item: Item, system: str, is_void: bool) -> Finding:
    message = f"{system} no longer shows this AP invoice."
    if is_void:
        message = f"This AP invoice is void in {system}."
    told = {f"in {system}": "void" if is_void else "nothing", "document": item.document_id_erp or ""}
    remedy = f"Have it restored in {system}; or, to correct it and send it again, {_run('unlink-invoice', item)}."
    return _simple("gone-from-erp", message, told, remedy, "accounting")


def _two(item: Item, system: str, there: Sequence[ErpInvoice]) -> Finding:
    """Say that one invoice is there more than once, which may be paid twice; only a person can tell which is right."""
    documents = " and ".join(map(in_short, there))
    error = MismatchError(system, f"invoice {item.number}", f"{len(there)} AP invoices have its key: {documents}")
    told = {f"document {each.document_id_erp}": f"{shown(each, 'gross')}, {each.state}" for each in there}
    remedy = f"Pay none of them before {system} holds only one."
    return _simple(TWO, f"{error}.", told, remedy, "controller")


def _simple(rule: str, message: str, numbers: dict[str, str], remedy: str, owner: str) -> Finding:
    return Finding(rule=rule, severity="warn", message=message, remedy=remedy, owner=owner, numbers=numbers)


def _run(deployment: str, item: Item) -> str:
    return f"run {deployment} with company {item.company_id} and invoice {item.invoice_id}"


def _label(name: str) -> str:
    return name.replace("_procore", "").replace("_erp", "").replace("_", " ")

"""`python -m benchmarks.fuzz`: thousands of malformed Procore payloads, which must end in a reason each, and alone.

Each goes through the real parser and, beside sound neighbours, through the real judge; some come over HTTP from the
stand-in through the real connector. Nothing may end in a traceback, nor take another invoice with it.
"""

import argparse
import copy
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
from pydantic import SecretStr

from benchmarks.figures import figure
from data_contracts.case import Case, Others
from data_contracts.commitment import ProjectBooks, Vendor
from data_contracts.invoice import Invoice
from data_contracts.money import round_half_up
from data_contracts.verdicts import verdict
from data_contracts.voucher import Voucher
from tieout.connectors.base import Capabilities, invoice_key
from tieout.connectors.procore import Procore, Settings, parse_invoice
from tieout.connectors.spectrum import Connector
from tieout.connectors.spectrum import Settings as SpectrumSettings
from tieout.judgement import billing
from tieout.judgement.cases import build_case
from tieout.judgement.coding import Codes
from tieout.judgement.mapping import CodeMap, MappingRow
from tieout.judgement.rulebook import judge
from tieout.sandbox.contractor.contractor import Contractor, build
from tieout.sandbox.procore import app as stand_in
from tieout.sandbox.sockets import serving
from tieout.sandbox.spectrum import app as erp_stand_in
from tieout.settings import Policy

Document = dict[str, Any]
TODAY = date(2026, 3, 4)
NEIGHBOURS = 3  # sound invoices in every batch that is judged
_BATCH = 200
_BY_HTTP = 20  # of each round over HTTP; the rest of the project stays sound
_MOST_WRONG = 3  # things wrong with one payload
_LONG = "x" * 20_000

# By hand: what a program, a proxy, a spreadsheet or somebody in a hurry puts where a value should be.
JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, 10**30, 2**63, "", " ", "0", "-0.00", "0.001", "0.00001", "1e30",
    "1E+3", "NaN", "-Infinity",
    "1_000.00", "1,000.00", "$5.00", "5.00 USD", "(5.00)", "٣٫٥", "１２", "--1", "0x10",
    "999999999999.99", "1000000000000.00", "2026-02-30", "0000-00-00", "2026-13-01T00:00:00Z", "yesterday", "20260304",
    "2026-03-04T12:00:00", "\u0000", "\u202e1.00", "\ud800", "🏗", _LONG, "null", "[]", "{}", [], [None], [[]], {},
    {"id": None}, {"a": {"b": []}}, "approved ", "APPROVED", "WorkOrderContract", "contract_item",
)  # fmt: skip


def malformed(random: Random, sound: Document) -> str:
    """Return the text of an invoice with up to a few things wrong with it."""
    document = copy.deepcopy(sound)
    for _ in range(random.randint(1, _MOST_WRONG)):
        random.choice(_CHANGES)(random, document)
    text = json.dumps(document, ensure_ascii=random.random() < 0.5)
    return random.choice(_TEXTS)(random, text) if random.random() < 0.15 else text


def _replace(random: Random, document: Document) -> None:
    holder, key = _place(random, document)
    holder[key] = copy.deepcopy(random.choice(JUNK))


def _drop(random: Random, document: Document) -> None:
    holder, key = _place(random, document)
    del holder[key]


def _rename(random: Random, document: Document) -> None:
    holder, key = _place(random, document)
    if isinstance(holder, dict):
        holder[random.choice((key.upper(), f"{key}_", "id", "items", "summary"))] = holder.pop(key)


def _shift(random: Random, document: Document) -> None:
    """Make an amount a little, or much, different: it stays readable, and should tie to nothing."""
    items = document.get("items")
    holders = [document.get("summary"), *(items if isinstance(items, list) else ())]
    holder = random.choice([each for each in holders if isinstance(each, dict) and each] or [document])
    key = random.choice(sorted(map(str, holder)))
    amount = holder.get(key)
    if isinstance(amount, str) and amount.replace(".", "").replace("-", "").isdigit():
        holder[key] = random.choice((f"{amount}1", f"-{amount}", f"9{amount}", amount.split(".")[0], "0.01"))


def _double(random: Random, document: Document) -> None:
    items = document.get("items")
    if isinstance(items, list) and items:
        items.append(copy.deepcopy(random.choice(items)))


def _swap(random: Random, document: Document) -> None:
    """Put what stands in one place into another."""
    (holder, key), (other, name) = _place(random, document), _place(random, document)
    holder[key] = copy.deepcopy(other[name])


def _place(random: Random, document: Document) -> tuple[Any, Any]:
    """Choose a place anywhere in the document."""
    holder: Any = document
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = random.choice(keys) if keys else None
        if key is None:
            document.setdefault("id", 0)
            return document, "id"
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or random.random() < 0.15:
            return holder, key
        holder = inner


_CHANGES: tuple[Callable[[Random, Document], None], ...] = (
    *(_replace, _drop, _rename, _double, _swap),
    *(_shift, _shift, _shift, _shift, _shift),
)
_TEXTS: tuple[Callable[[Random, str], str], ...] = (
    lambda random, text: text[: random.randrange(len(text))],
    lambda random, text: text[random.randrange(1, len(text)) :],
    lambda random, text: text + random.choice((",", "}", "]", text, "\0", "<html>")),
    lambda random, text: _with(random, text, random.choice((",", '"', "{", "}", "\\", "\n", "\0", "NaN", "\ufeff"))),
    lambda random, text: text.replace('"0.00"', "0.00"),
    lambda random, text: text.replace('"', "'"),
    lambda random, text: "[" * random.randrange(1, 5000) + text,
    lambda random, text: f"<html><body>502 Bad Gateway {text[:99]}</body></html>",
    lambda random, text: random.choice(("", "null", "[]", "true", '"', "{", "0", " ")),
)


def _with(random: Random, text: str, piece: str) -> str:
    at = random.randrange(len(text))
    return text[:at] + piece + text[at:]


@dataclass
class Office:
    """What the sandbox's sound contractor looks like to who judges its invoices."""

    contractor: Contractor
    books: dict[int, ProjectBooks]
    vendors: Sequence[Vendor]
    codes: Codes
    capabilities: Capabilities
    rows: tuple[MappingRow, ...]
    documents: dict[int, Document]  # sound ones, by id
    sound: dict[int, Invoice]

    def case(self, invoice: Invoice) -> Case:
        """Return the case of an invoice; one that names an unknown project is judged by the books of a known one."""
        books = self.books.get(invoice.project_id_procore) or next(iter(self.books.values()))
        return build_case(
            invoice=invoice,
            books=books,
            vendors=self.vendors,
            mapping=CodeMap(books, self.vendors, self.rows, TODAY),
            codes=self.codes,
            capabilities=self.capabilities,
            previous=self.sound.get(invoice.previous_invoice_id_procore or 0),
            others=Others(),
            policy=Policy(),
            today=TODAY,
        )


@dataclass
class Outcome:
    """What became of the payloads."""

    payloads: int = 0
    by_end: Counter[str] = field(default_factory=Counter)
    tracebacks: list[str] = field(default_factory=list)
    without_reason: list[str] = field(default_factory=list)
    neighbours_harmed: int = 0
    let_go: list[str] = field(default_factory=list)  # that owe another amount than the sound invoice, and are READY

    def tell(self) -> bool:
        """Print the figures; return whether every bound is kept."""
        for end, count in self.by_end.most_common():
            figure(f"of these {end}", count, "payloads")
        return all(
            [
                figure("malformed payloads", self.payloads, "payloads"),
                figure("payloads that ended in a traceback", len(self.tracebacks), "payloads", "== 0"),
                figure("payloads that were stopped without a reason", len(self.without_reason), "payloads", "== 0"),
                figure("payloads that owe another amount and were let go", len(self.let_go), "payloads", "== 0"),
                figure("other invoices that were judged otherwise for it", self.neighbours_harmed, "invoices", "== 0"),
            ]
        )


def judge_malformed(office: Office, bodies: Sequence[tuple[int, str]], outcome: Outcome) -> None:
    """Judge these bodies, each once of a sound invoice, in one batch with sound neighbours, and note what came."""
    neighbours = [office.case(office.sound[each]) for each in sorted(office.sound)[:NEIGHBOURS]]
    alone = judge(neighbours)
    cases, was = list(neighbours), dict[int, Invoice]()
    for number, (sound_id, body) in enumerate(bodies):
        outcome.payloads += 1
        try:
            parsed = parse_invoice(body, office.contractor.company_id)
            # Ids may be anything: in a batch each invoice has its own, as each was asked for by it.
            if isinstance(parsed, Invoice):
                cases.append(office.case(parsed.model_copy(update={"invoice_id_procore": number})))
                was[number] = office.case(office.sound[sound_id]).invoice
            else:
                _note_reasons(outcome, parsed.reasons, body)
        except Exception as error:  # noqa: BLE001  the very thing that is looked for
            outcome.tracebacks.append(f"{type(error).__name__}: {error}: {body[:2000]}")
    try:
        found = judge(cases)
    except Exception as error:  # noqa: BLE001
        outcome.tracebacks.append(f"{type(error).__name__}: {error}: a batch of {len(cases)}")
        return
    outcome.neighbours_harmed += sum(found[key] != told for key, told in alone.items())
    for case in cases[len(neighbours) :]:
        number = case.invoice.invoice_id_procore
        _note_verdict(outcome, case, found[number], was[number])


def _note_reasons(outcome: Outcome, reasons: Sequence[str], body: str) -> None:
    outcome.by_end["cannot be read"] += 1
    if not reasons or not all(each and each.isprintable() and "pydantic" not in each for each in reasons):
        outcome.without_reason.append(f"{reasons!r}: {body[:2000]}")


def _owed(invoice: Invoice) -> tuple[Any, Any]:
    """Return what an invoice comes to, before and after retention, to the cent."""
    net = invoice.gross - invoice.held + invoice.released
    return round_half_up(invoice.gross, invoice.currency), round_half_up(net, invoice.currency)


def _note_verdict(outcome: Outcome, case: Case, found: Sequence[Any], sound: Invoice) -> None:
    state = verdict(found)
    outcome.by_end[{"READY": "are still sound where it matters"}.get(state, "are held by a rule")] += 1
    stops = [each for each in found if each.severity != "warn"]
    if not all(each.message.isprintable() and each.remedy and each.owner for each in found):
        outcome.without_reason.append(repr(found))
    if state != "READY" and not stops:
        outcome.without_reason.append(f"{state}: {found!r}")
    if state == "READY" and _owed(case.invoice) != _owed(sound):
        outcome.let_go.append(f"{_owed(case.invoice)} instead of {_owed(sound)}: {sound.differences(case.invoice)}")
    if state == "READY":  # then a voucher can be made of it, and it adds up
        try:
            made = billing.voucher(case, invoice_key(1, 1), "20260307", case.accounting_on)
            if not isinstance(made, Voucher) or sum(line.amount for line in made.lines) != made.gross:
                outcome.without_reason.append(f"no voucher of {case.invoice!r}")
        except Exception as error:  # noqa: BLE001
            outcome.tracebacks.append(f"{type(error).__name__}: {error}: the voucher of {case.invoice!r}")


@contextmanager
def an_office(folder: Path, invoices: int = 40) -> Iterator[tuple[Office, Procore, str]]:
    """Serve a sound contractor and read it through the real connectors; yield it, the connector and Procore's URL."""
    contractor = build(3, 2, invoices, 3, False, today=TODAY)
    now = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC)
    database = f"sqlite:///{folder / 'spectrum.sqlite'}"
    apps = (
        stand_in.create_app(folder / "procore.sqlite", contractor, False, lambda: now),
        erp_stand_in.create_app(database, contractor.books, "AUTH", lambda: now),
    )
    with serving(apps[0]) as url, serving(apps[1]) as erp_url:
        secret = SecretStr(contractor.client_secret)
        account = {"company_id": contractor.company_id, "client_id": contractor.client_id, "client_secret": secret}
        site = Procore(Settings(api_url=url, login_url=url, **account))
        code = contractor.books.company_code
        erp = Connector(
            SpectrumSettings(
                url=erp_url, company_code=code, authorization_id=SecretStr("AUTH"), info_link_url=SecretStr(database)
            )
        )
        try:
            yield _read(contractor, site, erp), site, url
        finally:
            site.close()
            erp.close()


def _read(contractor: Contractor, site: Procore, erp: Connector) -> Office:
    projects = {each.project_id_procore: each for each in site.projects()}
    books = {key: site.project_books(projects[key])[0] for key in projects if key not in contractor.forbidden_projects}
    documents = {each["id"]: each for each in contractor.requisitions if each["project_id"] in books}
    parsed = {key: parse_invoice(json.dumps(each), contractor.company_id) for key, each in documents.items()}
    return Office(
        contractor=contractor,
        books=books,
        vendors=site.vendors(),
        codes=Codes(erp.reference()),
        capabilities=erp.capabilities,
        rows=tuple(MappingRow.model_validate_strings(row) for row in contractor.mapping_rows),
        documents=documents,
        sound={key: each for key, each in parsed.items() if isinstance(each, Invoice)},
    )


def over_http(office: Office, site: Procore, url: str, random: Random, count: int, outcome: Outcome) -> None:
    """Have Procore answer malformed bodies among sound ones, read all of a project, and judge what came."""
    by_project: dict[int, list[int]] = {}
    for key, document in office.documents.items():
        by_project.setdefault(document["project_id"], []).append(key)
    project_id, ids = max(by_project.items(), key=lambda each: len(each[1]))
    with httpx.Client(base_url=f"{url}/_sandbox/requisitions", trust_env=False) as control:
        while count > 0:
            broken = random.sample(ids, min(count, _BY_HTTP, len(ids) // 2))
            count -= len(broken)
            for each in broken:
                text = malformed(random, office.documents[each]).encode("utf-8", "replace")
                control.post(f"/{each}/body", content=text or b" ").raise_for_status()
            _read_all(office, site, project_id, ids, set(broken), outcome)
            for each in broken:
                control.post(f"/{each}/body", content=b"").raise_for_status()


def _read_all(
    office: Office, site: Procore, project_id: int, ids: Sequence[int], broken: set[int], outcome: Outcome
) -> None:
    try:
        fetched = {each.invoice_id_procore: each for each in site.invoices(project_id, ids)}
    except Exception as error:  # noqa: BLE001
        outcome.tracebacks.append(f"{type(error).__name__}: {error}: reading over HTTP")
        return
    for each in set(ids) - broken:
        body = fetched[each].body if each in fetched else ""
        outcome.neighbours_harmed += parse_invoice(body, office.contractor.company_id, each) != office.sound[each]
    judge_malformed(office, [(each, fetched[each].body) for each in broken if each in fetched], outcome)
    unseen = len(broken - fetched.keys())  # its answer says that it is another one, or none at all
    outcome.payloads += unseen
    outcome.by_end["are not shown as an invoice"] += unseen


def run(payloads: int, by_http: int, seed: int) -> Outcome:
    """Try so many payloads, and so many more over HTTP."""
    random, outcome = Random(seed), Outcome()
    with tempfile.TemporaryDirectory(prefix="tieout-fuzz-") as name, an_office(Path(name)) as (office, site, url):
        ids = list(office.documents)
        for start in range(0, payloads, _BATCH):
            chosen = random.choices(ids, k=min(_BATCH, payloads - start))
            bodies = [(each, malformed(random, office.documents[each])) for each in chosen]
            judge_malformed(office, bodies, outcome)
        over_http(office, site, url, random, by_http, outcome)
    return outcome


def main() -> None:
    """Run it, print the figures, and exit with status 1 when a bound is broken."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--payloads", type=int, default=19_000)
    options.add_argument("--by-http", type=int, default=1_000, help="more payloads, over HTTP from the stand-in")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    began = time.monotonic()
    outcome = run(chosen.payloads, chosen.by_http, chosen.seed)
    kept = outcome.tell()
    figure("seconds of the fuzz", time.monotonic() - began, "s")
    for each in (outcome.tracebacks + outcome.without_reason + outcome.let_go)[:5]:
        print(each)
    raise SystemExit(0 if kept else 1)


if __name__ == "__main__":
    main()

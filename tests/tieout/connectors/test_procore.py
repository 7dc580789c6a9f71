"""Procore's wire format: what is read, what is refused and why. `python <this file>` writes the expected results."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from pydantic import SecretStr

from data_contracts.commitment import Project
from data_contracts.fetched import FetchedInvoice, UnreadableInvoice
from data_contracts.invoice import SENDABLE, Invoice
from data_contracts.voucher import ProcorePayment
from tieout import settings
from tieout.connectors.procore import UNCHANGED, Procore, Settings, parse_invoice
from tieout.errors import RefusedError, SettingsError, TransientError, UnconfirmedError
from tieout.sandbox.contractor.contractor import Contractor, build
from tieout.sandbox.procore.app import create_app
from tieout.sandbox.sockets import serving

ROOT = Path(__file__).parents[3]
SAMPLES = sorted(p for p in (ROOT / "tests/samples/procore").glob("*.json") if ".expected" not in p.name)
PUBLISHED = ROOT.parent / "shared/samples/procore"
COMPANY_ID = 562949953421312


def outcome(path: Path) -> Any:
    read = parse_invoice(path.read_text(encoding="utf-8"), COMPANY_ID)
    if isinstance(read, UnreadableInvoice):
        return list(read.reasons)
    return {"content_hash": read.content_hash(), **read.model_dump(mode="json")}


def sample(**changes: Any) -> dict[str, Any]:
    invoice: dict[str, Any] = json.loads((ROOT / "tests/samples/procore/stored_materials.json").read_text("utf-8"))
    return invoice | changes


def parsed(wire: dict[str, Any]) -> Invoice:
    invoice = parse_invoice(json.dumps(wire), COMPANY_ID)
    assert isinstance(invoice, Invoice), invoice
    return invoice


def reasons(body: str) -> list[str]:
    found = parse_invoice(body, COMPANY_ID)
    assert isinstance(found, UnreadableInvoice)
    assert found.reasons
    return list(found.reasons)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_read_as_expected(path: Path):
    expected = json.loads(path.with_suffix(".expected.json").read_text("utf-8"))

    assert outcome(path) == expected


def test_materials_installed_from_stock_are_not_earned_twice():
    invoice = parsed(sample())

    assert invoice.gross == Decimal("3000.00")  # 4,000 worked, of which 1,000 was lying on site before
    assert invoice.lines[0].stored_retainage_before is None  # v1.1 does not say


def test_equal_amounts_written_differently_hash_alike():
    rewritten = json.loads(json.dumps(sample()).replace('.0"', '.000"'))
    without_zeros = sample()
    for absent in ("materials_moved", "work_completed_retainage_released_this_period"):
        del without_zeros["items"][0][absent]

    assert parsed(rewritten).content_hash() == parsed(sample()).content_hash()
    assert parsed(without_zeros).content_hash() == parsed(sample()).content_hash()


def test_our_own_writes_do_not_move_the_content_hash():
    ours = sample(origin_id="P1", origin_data="x", updated_at="2026-05-01T00:00:00Z", erp_status="synced")

    assert parsed(ours).content_hash() == parsed(sample()).content_hash()


def test_a_changed_figure_moves_the_content_hash():
    changed = sample()
    changed["items"][0]["work_completed_this_period"] = "4000.01"

    assert parsed(changed).content_hash() != parsed(sample()).content_hash()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        '"text"',
        "{",
        '{"id": NaN}',
        "[" * 100_000,
        '{"id": ' + "9" * 5000 + "}",
        json.dumps(sample())[:-40],
        json.dumps(sample(items=None)),
        json.dumps(sample(items={})),
        json.dumps(sample(items=[[]])),
        json.dumps(sample(summary=[])),
        json.dumps(sample(summary=None)),
        json.dumps(sample(created_by="Sam")),
        json.dumps(sample(currency_configuration={"currency_iso_code": 840})),
        json.dumps(sample(status=["approved"])),
        json.dumps(sample(commitment_type=["WorkOrderContract"])),
        json.dumps(sample(currency_configuration="USD")),
        json.dumps(sample(number=True)),
        json.dumps(sample(id=-1)),
        json.dumps(sample(invoice_number=1.5)),
        json.dumps(sample(invoice_number=True)),
        json.dumps(sample(billing_date=20260320)),
        json.dumps(sample(updated_at=None)),
        json.dumps(sample(items=[sample()["items"][0]] * 10_001)),
        " " * 20_000_001,
    ],
    ids=lambda body: body[:30],
)
def test_bad_content_is_a_reason_and_never_an_exception(body: str):
    for reason in reasons(body):
        assert reason.isprintable()
        assert "pydantic" not in reason
        assert len(reason) < 300


def test_every_money_field_refuses_a_number():
    wire = sample()
    money = [(wire["items"][0], f"items[0].{name}") for name in wire["items"][0]]
    money += [(wire["summary"], f"summary.{name}") for name in wire["summary"]]
    ignored = ("percent", "new_materials")
    for holder, path in money:
        name = path.rpartition(".")[2]
        text = holder[name]
        if not isinstance(text, str) or not text.replace(".", "").isdigit() or any(word in name for word in ignored):
            continue
        holder[name] = float(text)
        assert reasons(json.dumps(wire)) == [f"{path}: money must come as text, not as float"]
        holder[name] = text


def test_many_reasons_are_cut_short():
    bad = {"id": "x", "item_type": "y"}

    found = reasons(json.dumps(sample(items=[bad] * 50)))

    assert len(found) == 21
    assert found[-1].startswith("and ")


def test_a_thousand_invoices_of_twenty_lines_are_read_in_seconds():
    line = sample()["items"][0]
    body = json.dumps(sample(items=[line | {"id": number} for number in range(20)]))

    started = time.process_time()
    for _ in range(1000):
        invoice = parse_invoice(body, COMPANY_ID)
        assert isinstance(invoice, Invoice)
        invoice.content_hash()

    assert time.process_time() - started < 3


def test_the_published_samples_are_taken_as_they_are(record_property: Callable[[str, object], None]):
    if not PUBLISHED.is_dir():
        record_property("not_run", "the samples of Procore's documentation are not on this machine")
        test_a_sample_is_read_as_expected(next(path for path in SAMPLES if path.stem == "older_g702"))
        return
    header, line = (next(PUBLISHED.glob(f"tutorial_requisitions__{part}*.json")) for part in ("02", "03"))
    missing_then = {name: sample()[name] for name in ("project_id", "commitment_type", "updated_at")}
    missing_then["currency_configuration"] = sample()["currency_configuration"]
    published = missing_then | json.loads(header.read_text())
    published["items"] = [{"item_type": "contract_item"} | json.loads(line.read_text())]

    invoice = parsed(published)

    assert (invoice.invoice_number, invoice.summary.total_retainage) == ("123", Decimal("5300.00"))
    assert invoice.lines[0].completed_to_date == Decimal("51500.00")
    published["invoice_number"] = 123  # as the request of the same page has it
    assert parsed(published).content_hash() == invoice.content_hash()


@dataclass
class Site:
    """The stand-in and what a test needs to speak to it and behind its back."""

    url: str
    contractor: Contractor
    control: httpx.Client

    def connect(self, **changes: Any) -> Procore:
        given = {
            "api_url": self.url,
            "login_url": self.url,
            "company_id": self.contractor.company_id,
            "client_id": self.contractor.client_id,
            "client_secret": SecretStr(self.contractor.client_secret),
            "timeout": 5.0,
        }
        sleep, clock = changes.pop("sleep", time.sleep), changes.pop("clock", time.time)
        return Procore(Settings(**given | changes), sleep=sleep, clock=clock)

    def play(self, path: str, body: Any = None) -> Any:
        answer = self.control.post(f"/_sandbox/{path}", json=body or {})
        assert answer.is_success, answer.text
        return answer.json()

    def look(self, path: str) -> Any:
        return self.control.get(f"/_sandbox/{path}").json()

    def ids(self, project_id: int) -> set[int]:
        return {row["id"] for row in self.look("requisitions") if row["project_id"] == project_id}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    contractor = build(7, projects=5, invoices=60, today=date(2026, 4, 1))
    app = create_app(tmp_path_factory.mktemp("procore") / "state.sqlite", contractor, False, lambda: datetime.now(UTC))
    with serving(app) as url, httpx.Client(base_url=url, trust_env=False) as control:
        yield Site(url, contractor, control)


@pytest.fixture
def site(served: Site) -> Iterator[Site]:
    yield served
    served.control.delete("/_sandbox/faults")
    served.control.delete("/_sandbox/requests")
    served.play("quirks", dict.fromkeys(("repeat_page", "duplicate_ids", "endless"), False))


@pytest.fixture
def procore(site: Site) -> Iterator[Procore]:
    connector = site.connect()
    yield connector
    connector.close()


@pytest.fixture
def project(site: Site) -> int:
    """The project with the most invoices that the service account may see."""
    rows = [row["project_id"] for row in site.look("requisitions")]
    open_projects = set(rows) - set(site.contractor.forbidden_projects)
    return max(open_projects, key=lambda project_id: (rows.count(project_id), project_id))


def until() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


def listed(procore: Procore, project: int) -> set[int]:
    stubs, problems = procore.changed_invoices(project, None, until())
    assert problems == []
    ids = [stub.invoice_id_procore for stub in stubs]
    assert len(ids) == len(set(ids))
    return set(ids)


def test_a_sound_set_up_has_no_problems(procore: Procore):
    assert procore.check() == []


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"client_secret": SecretStr("wrong-secret")}, "credentials"),
        ({"company_id": 5}, "rights"),
        ({"clock": lambda: time.time() + 120}, "clock"),
        ({"api_url": "http://127.0.0.1:9"}, "connection"),
        ({"login_url": "http://127.0.0.1:9"}, "connection"),
    ],
)
def test_a_wrong_set_up_is_named_without_its_secret(site: Site, changes: dict[str, Any], check: str):
    problems = site.connect(**changes).check()

    assert [(problem.check, problem.is_blocking) for problem in problems] == [(check, True)]
    assert "wrong-secret" not in str(problems)


def test_all_projects_and_vendors_are_read(site: Site, procore: Procore):
    projects, vendors = procore.projects(), procore.vendors()

    assert {each.project_id_procore for each in projects} == {each["id"] for each in site.contractor.projects}
    assert {each.vendor_id_procore for each in vendors} == {each["id"] for each in site.contractor.vendors}
    assert any(each.erp_code for each in vendors)


def test_a_project_that_answers_403_is_refused_and_the_others_go_on(site: Site, procore: Procore, project: int):
    site.play(f"projects/{project}", {"access": False})
    try:
        with pytest.raises(RefusedError, match="permission"):
            procore.changed_invoices(project, None, until())
        others = {row["project_id"] for row in site.look("requisitions")} - {project}
        assert listed(procore, next(iter(others - set(site.contractor.forbidden_projects))))
    finally:
        site.play(f"projects/{project}", {"access": True})


def test_every_line_of_every_invoice_finds_its_coded_commitment_line(site: Site, procore: Procore):
    troubled = {int(invoice_id) for invoice_id in site.look("troubles")["troubles"]}
    of_company = {each.project_id_procore: each for each in procore.projects()}
    for project_id in set(of_company) - set(site.contractor.forbidden_projects):
        books, problems = procore.project_books(of_company[project_id])
        lines = {line.line_id_procore: line for each in books.commitments for line in each.lines}
        assert problems == []
        assert books.periods
        for fetched in procore.invoices(project_id, sorted(site.ids(project_id))):
            invoice = parse_invoice(fetched.body, site.contractor.company_id)
            if fetched.invoice_id_procore in troubled:
                continue
            assert isinstance(invoice, Invoice), invoice
            for line in invoice.lines:
                assert lines[line.commitment_line_id_procore or 0].cost_code


def test_a_commitment_that_cannot_be_read_is_named_and_the_others_are_there(site: Site, procore: Procore, project: int):
    whole = procore.project_books(Project(project_id_procore=project, name="x"))[0].commitments
    broken = whole[0].commitment_id_procore
    line = whole[0].lines[0]
    site.play(f"commitments/{broken}", {"line_items": [{"id": line.line_id_procore, "amount": 5.5}]})
    try:
        books, problems = procore.project_books(Project(project_id_procore=project, name="x"))
    finally:
        site.play(f"commitments/{broken}", {"line_items": [{"id": line.line_id_procore, "amount": str(line.amount)}]})

    assert {each.commitment_id_procore for each in books.commitments} == {
        each.commitment_id_procore for each in whole[1:]
    }
    assert [problem.check for problem in problems] == [whole[0].kind.replace("_", " ")]
    assert f"{broken} cannot be read: line_items[0].amount: money must come as text" in problems[0].message


def test_bodies_are_what_procore_shows_to_the_cent(site: Site, procore: Procore):
    unreadable = []
    for project_id in {row["project_id"] for row in site.look("requisitions")} - set(
        site.contractor.forbidden_projects
    ):
        rows = {row["id"]: row for row in site.look("requisitions") if row["project_id"] == project_id}
        for fetched in procore.invoices(project_id, list(rows)):
            row = rows[fetched.invoice_id_procore]
            invoice = parse_invoice(fetched.body, site.contractor.company_id)
            assert fetched.body == site.control.get(f"/_sandbox/requisitions/{fetched.invoice_id_procore}").text
            if isinstance(invoice, Invoice):
                assert invoice.gross == Decimal(row["gross"]) or row["trouble"]
                assert invoice.summary.payment_due == Decimal(row["current_payment_due"])
            else:
                unreadable.append(row["trouble"])

    assert set(unreadable) == {"unreadable"}


def test_a_list_that_has_not_changed_costs_one_call(site: Site, procore: Procore, project: int):
    listed(procore, project)
    before = procore.calls
    stubs, _ = procore.changed_invoices(project, until(), until())

    assert (stubs, procore.calls - before) == ([], 1)


@pytest.mark.parametrize("per_page", [1, 2, 3, 7, 2000])
@pytest.mark.parametrize("quirk", [None, "repeat_page", "duplicate_ids"])
def test_paging_loses_no_row(site: Site, project: int, per_page: int, quirk: str | None):
    if quirk:
        site.play("quirks", {quirk: True})

    assert listed(site.connect(per_page=per_page), project) == site.ids(project)


def test_a_page_that_repeats_for_ever_ends_and_says_that_rows_are_missing(site: Site, project: int):
    site.play("quirks", {"endless": True})
    connector = site.connect(per_page=2)
    stubs, problems = connector.changed_invoices(project, None, until())

    assert len(stubs) == 2
    assert [f"only 2 of {len(site.ids(project))} rows came" in problem.message for problem in problems] == [True]
    assert connector.calls < 15


def test_a_row_that_moves_to_a_page_already_read_is_not_lost():
    rows = [{"id": number, "updated_at": "2026-03-01T00:00:00Z", "status": "approved"} for number in range(1, 9)]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        query = dict(parse_qsl(scope["query_string"].decode()))
        body: Any = {"access_token": "t", "expires_in": 5400}
        headers: list[tuple[bytes, bytes]] = []
        if "page" in query:
            start, size = (int(query["page"]) - 1) * int(query["per_page"]), int(query["per_page"])
            body = rows[start : start + size]
            headers = [(b"total", str(len(rows)).encode()), (b"per-page", str(size).encode())]
            if query["page"] == "1" and rows[0]["id"] == 1:
                rows.append(rows.pop(0))  # the first row is edited: the list closes up behind it
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    with serving(app) as url:
        settings = Settings(
            api_url=url, login_url=url, company_id=1, client_id="c", client_secret=SecretStr("s"), per_page=3
        )
        assert listed(Procore(settings), 1) == set(range(1, 9))


BROKEN = [
    '{"id": %d, "status": "approved", "items": [',
    '{"status": "approved", "id": %d, "number": 01}',
    '{"id": %d, "rate": NaN}',
    '"no invoice %d at all"',
    "{ %d",
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_row_costs_no_other_row(site: Site, procore: Procore, project: int, text: str):
    ids = sorted(site.ids(project))
    broken = ids[len(ids) // 2]
    site.control.post(f"/_sandbox/requisitions/{broken}/body", content=text % broken)
    try:
        stubs, problems = procore.changed_invoices(project, None, until())
        fetched = {each.invoice_id_procore: each for each in procore.invoices(project, ids)}
    finally:
        site.control.post(f"/_sandbox/requisitions/{broken}/body", content="")

    seen = {stub.invoice_id_procore for stub in stubs}
    assert seen | {broken} == set(ids)
    assert len(problems) == (broken not in seen)  # found by its id in the wreck, or reported
    assert list(fetched) == ids
    assert [each for each in ids if fetched[each].problem] == [broken]
    assert procore.calls < 60


@pytest.mark.parametrize("kind", ["truncated", "cut_off", "reset_before", "5xx_before", "html_503"])
def test_a_list_cut_short_once_is_read_whole_or_is_transient(site: Site, procore: Procore, project: int, kind: str):
    site.play("faults", {"route": "GET .*requisitions", "kind": kind, "times": 1})
    if kind == "truncated":
        assert listed(procore, project) == site.ids(project)
    else:
        with pytest.raises(TransientError):
            procore.changed_invoices(project, None, until())


def test_invoices_cut_short_once_are_all_read_without_asking_for_each(site: Site, procore: Procore, project: int):
    ids = sorted(site.ids(project))
    site.play("faults", {"route": "GET .*requisitions", "kind": "truncated", "times": 1})
    fetched = procore.invoices(project, ids)

    assert [each.invoice_id_procore for each in fetched] == ids
    assert not any(each.problem for each in fetched)
    assert procore.calls <= 5
    site.play("faults", {"route": "GET .*requisitions/", "kind": "truncated", "times": 1})
    single = procore.invoice(project, ids[0])
    assert single
    assert single.problem is None


def test_an_address_stays_short_and_a_clamped_page_loses_nothing(site: Site, project: int):
    ids = sorted(site.ids(project))
    connector = site.connect(per_page=4)

    assert [each.invoice_id_procore for each in connector.invoices(project, [*ids, *ids])] == ids
    asked = [entry["query"] for entry in site.look("requests")["requests"] if "requisitions" in entry["path"]]
    assert len(asked) == -(-len(ids) // 4)
    assert max(map(len, asked)) < 6000


def test_an_invoice_that_is_gone_is_left_out(site: Site, procore: Procore, project: int):
    opened = site.play("requisitions", {"commitment_id": commitment_of(site, project)})["id"]
    ids = sorted(site.ids(project))
    site.control.delete(f"/_sandbox/requisitions/{opened}")

    assert [each.invoice_id_procore for each in procore.invoices(project, ids)] == [i for i in ids if i != opened]
    assert procore.invoice(project, opened) is None


def commitment_of(site: Site, project: int) -> int:
    rows = [row for row in site.look("requisitions") if row["project_id"] == project]
    return int(rows[-1]["commitment_id"])


def test_only_what_changed_since_is_listed(site: Site, procore: Procore, project: int):
    latest = datetime.fromisoformat(site.look("state")["last_instant"])
    changed = sorted(site.ids(project))[0]
    time.sleep(1.1)  # the filter counts whole seconds
    site.play(f"requisitions/{changed}/edit", {"billing_date": "2026-03-31"})
    stubs, problems = procore.changed_invoices(project, latest + timedelta(seconds=1), until())

    assert ([stub.invoice_id_procore for stub in stubs], problems) == ([changed], [])
    assert stubs[0].updated_at
    assert stubs[0].updated_at > latest


def sendable(site: Site, project: int) -> set[int]:
    rows = [row for row in site.look("requisitions") if row["project_id"] == project]
    return {row["id"] for row in rows if row["status"] in SENDABLE}


def test_what_may_be_sent_is_counted_by_one_request(site: Site, procore: Procore, project: int):
    rows = sorted(site.ids(project))
    for invoice_id, status in zip(rows, ("draft", "approved_as_noted", "pending_owner_approval"), strict=False):
        site.play(f"requisitions/{invoice_id}/approve", {"status": status})
    listed(procore, project)
    before = procore.calls
    counted = procore.count_sendable(project)

    assert procore.calls - before == 1
    assert counted == len(sendable(site, project)) < len(rows)


@pytest.mark.parametrize("per_page", [1, 3, 2000])
def test_what_may_be_sent_is_listed_by_id(site: Site, project: int, per_page: int):
    connector = site.connect(per_page=per_page)

    assert connector.sendable_invoices(project) == sendable(site, project)


def test_a_row_that_cannot_be_read_counts_as_one_that_may_be_sent(site: Site, procore: Procore, project: int):
    expected = sendable(site, project)
    broken = min(expected)
    site.control.post(f"/_sandbox/requisitions/{broken}/body", content=f'{{"id": {broken}, "status": ')
    counted, found = procore.count_sendable(project), procore.sendable_invoices(project)
    site.control.post(f"/_sandbox/requisitions/{broken}/body", content="")

    assert (counted, found) == (len(expected), expected)


def test_where_no_answer_says_how_many_there_are_the_rows_are_counted():
    """Nor does this server keep to the filter."""
    statuses = ["approved", "draft", "approved_as_noted", "under_review", "approved"]
    rows = [{"id": number, "status": status} for number, status in enumerate(statuses, 1)]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        query = dict(parse_qsl(scope["query_string"].decode()))
        body: Any = {"access_token": "t", "expires_in": 5400}
        if "page" in query:
            start, size = (int(query["page"]) - 1) * int(query["per_page"]), int(query["per_page"])
            body = rows[start : start + size]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    with serving(app) as url:
        settings = Settings(
            api_url=url, login_url=url, company_id=1, client_id="c", client_secret=SecretStr("s"), per_page=2
        )
        assert Procore(settings).count_sendable(1) == 3


def test_origin_fields_are_set_kept_and_cleared(site: Site, procore: Procore, project: int):
    row = next(row for row in site.look("requisitions") if row["project_id"] == project and row["status"] == "approved")
    where = (project, row["commitment_id"], row["id"])

    def origin(fetched: FetchedInvoice) -> tuple[str | None, str | None]:
        invoice = parse_invoice(fetched.body, site.contractor.company_id)
        assert isinstance(invoice, Invoice)
        assert fetched.updated_at == invoice.updated_at
        return invoice.origin_id, invoice.origin_data

    assert origin(procore.set_origin(*where, origin_id="P1")) == ("P1", None)
    assert origin(procore.set_origin(*where, origin_data="ERP 7")) == ("P1", "ERP 7")
    assert origin(procore.set_origin(*where, origin_id=None, origin_data=UNCHANGED)) == (None, "ERP 7")
    assert origin(procore.set_origin(*where, origin_id=None, origin_data=None)) == (None, None)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset_after", UnconfirmedError),
        ("5xx_after", UnconfirmedError),
        ("truncated", UnconfirmedError),
        ("cut_off", UnconfirmedError),
        ("5xx_before", UnconfirmedError),
    ],
)
def test_a_write_whose_answer_is_lost_says_so(
    site: Site, procore: Procore, project: int, kind: str, error: type[Exception]
):
    row = next(row for row in site.look("requisitions") if row["project_id"] == project)
    site.play("faults", {"route": "(PATCH|POST) /rest", "kind": kind, "times": 2})
    with pytest.raises(error):
        procore.set_origin(project, row["commitment_id"], row["id"], origin_data=kind)
    with pytest.raises(error):
        procore.record_payment(payment_of(row, f"lost:{kind}"))

    held = procore.payments(project, row["commitment_id"])
    assert len([each for each in held if each.origin_id == f"lost:{kind}"]) == (kind != "5xx_before")


def payment_of(row: dict[str, Any], origin_id: str, amount: str = "125.5") -> ProcorePayment:
    return ProcorePayment(
        project_id_procore=row["project_id"],
        commitment_id_procore=row["commitment_id"],
        invoice_id_procore=row["id"],
        invoice_sequence=row["number"],
        amount=Decimal(amount),
        paid_on=date(2026, 3, 31),
        check_number="4711",
        invoice_number="PW-0001",
        origin_id=origin_id,
    )


def test_a_payment_is_written_once_and_found_again(site: Site, procore: Procore, project: int):
    row = [row for row in site.look("requisitions") if row["project_id"] == project][-1]
    payment_id = procore.record_payment(payment_of(row, "application:1"))
    found = {each.payment_id_procore: each for each in procore.payments(project, row["commitment_id"])}[payment_id]

    assert (found.origin_id, found.amount, found.check_number) == ("application:1", Decimal("125.50"), "4711")
    assert (found.invoice_id_procore, found.invoice_sequence) == (row["id"], row["number"])
    with pytest.raises(RefusedError):
        procore.record_payment(payment_of(row, "application:1"))
    assert procore.record_payment(payment_of(row, "application:1:void", "-125.50")) != payment_id


@pytest.mark.parametrize("tool", ["payments_issued", "commitments_tool"])
def test_a_tool_that_is_off_is_named_with_its_project(site: Site, procore: Procore, project: int, tool: str):
    row = next(row for row in site.look("requisitions") if row["project_id"] == project)
    site.play(f"projects/{project}", {tool: False})
    try:
        for call in (
            lambda: procore.payments(project, row["commitment_id"]),
            lambda: procore.record_payment(payment_of(row, "application:2")),
        ):
            with pytest.raises(RefusedError, match=f"in project {project} the Commitments or Payments Issued tool"):
                call()
    finally:
        site.play(f"projects/{project}", {tool: True})


def test_an_expired_token_is_renewed_once_by_however_many_threads(site: Site, procore: Procore, project: int):
    listed(procore, project)
    site.control.delete("/_sandbox/requests")
    site.play("expire_tokens")
    with ThreadPoolExecutor(4) as pool:
        assert len({len(each) for each in pool.map(lambda _: listed(procore, project), range(4))}) == 1

    assert site.look("requests")["by_route"]["POST /oauth/token"] == 1


def test_a_token_is_renewed_before_it_ends(site: Site, project: int):
    now = [time.time()]
    connector = site.connect(clock=lambda: now[0])
    listed(connector, project)
    now[0] += 5400 - 30
    site.control.delete("/_sandbox/requests")
    listed(connector, project)

    asked = [entry["status"] for entry in site.look("requests")["requests"]]
    assert asked == [200, 200]


def test_rate_limits_are_kept_to_and_not_run_into(tmp_path: Path, served: Site, project: int):
    late = [0.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        late[0] += seconds

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=late[0])

    app = create_app(tmp_path / "limited.sqlite", served.contractor, True, clock)
    with serving(app) as url, httpx.Client(base_url=url, trust_env=False) as control:
        limited = Site(url, served.contractor, control)
        connector = limited.connect(sleep=sleep, per_page=1)
        assert listed(connector, project) == limited.ids(project)
        for _ in range(3):
            listed(connector, project)

        assert slept
        assert max(slept) <= 30


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    config = tmp_path / "tieout.toml"
    config.write_text('[procore]\ncompany_id = 12\nclient_id = "id"\nper_page = 100\n')
    monkeypatch.setenv("TIEOUT_CONFIG", str(config))
    monkeypatch.delenv("TIEOUT_PROCORE__CLIENT_SECRET", raising=False)
    with pytest.raises(SettingsError, match="client_secret"):
        Procore.from_settings(settings.read())
    monkeypatch.setenv("TIEOUT_PROCORE__CLIENT_SECRET", "s3cret")

    assert Procore.from_settings(settings.read()).company_id == 12


def write_expected() -> None:
    for path in SAMPLES:
        text = json.dumps(outcome(path), indent=1, ensure_ascii=False)
        path.with_suffix(".expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_expected()

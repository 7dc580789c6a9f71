"""What `tieout/connectors/base.py` promises, held against every connector that is found, and against a planted one.

The suite names no ERP: what a clerk does in it comes from `tests/clerks/<erp>.py`. What is there is counted in the
ERP's own database.
"""

import logging
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from builders import a_case, a_commitment, a_credit, a_release, a_taxed_one, a_voucher, an_invoice, an_order, some_books
from clerk import EVERYWHERE, Clerk, Held, Hire, clerk_of
from desk import SettableClock
from pydantic import SecretStr

from data_contracts.case import Case
from data_contracts.verdicts import check, verdict
from data_contracts.voucher import Created, ErpInvoice, Outcome, Payment, Refused, Unreadable, Voucher
from tieout import settings
from tieout.connectors.base import ERP, open_erp
from tieout.errors import ContractError, SettingsError, TieoutError, TransientError, UnconfirmedError
from tieout.sandbox.contractor.erp_books import ErpBooks

SEPTEMBER = datetime(2026, 9, 10, 12, 0, tzinfo=UTC)
NOT_A_SECRET_OF_OURS = "postgresql+psycopg://ann:hunter2@127.0.0.1:9/books"  # as good for a password as for an address
# By capability: the rule that denies it, an invoice that needs it, and a voucher's lines, if one can say it.
NEEDS: dict[str, tuple[str, Callable[..., Case], tuple[str, ...]]] = {
    "purchase_orders": ("purchase-order", an_order, ()),
    "retention_release": ("release-only", a_release, ()),
    "credit_memos": ("net-negative", a_credit, ("-100.10",)),
    "tax": ("tax-not-carried", a_taxed_one, ()),
}
NUMBERS = count(1)
Connect = Callable[..., ERP]
Write = Callable[..., Voucher]


@pytest.fixture(scope="module")
def clerk(
    hire: Hire, spectrum_books: ErpBooks, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Clerk]:
    """One company for all of the suite: what a test finds there may be of the ones before."""
    folder = tmp_path_factory.mktemp("books")
    with hire(spectrum_books, SettableClock(SEPTEMBER), folder, request) as clerk:
        yield clerk


@pytest.fixture(scope="module")
def company_erp(erp_name: str, clerk: Clerk) -> str:
    with pytest.MonkeyPatch.context() as patch:
        erp = open_with(erp_name, clerk.section, patch)
        company = erp.reference().company_erp
        erp.close()
    return company


def open_with(erp_name: str, section: dict[str, Any], patch: pytest.MonkeyPatch) -> ERP:
    """Open a connector by its name, with these settings."""
    for key, value in section.items():
        patch.setenv(f"TIEOUT_{erp_name.upper()}__{key.upper()}", str(value))
    return open_erp(erp_name, settings.read())


@pytest.fixture
def connect(erp_name: str, clerk: Clerk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Open the connector by its name, as the settings say, changed by keyword."""
    monkeypatch.setenv("TIEOUT_CONFIG", str(tmp_path / "tieout.toml"))
    opened: list[ERP] = []

    def connect_with(**changes: Any) -> ERP:
        opened.append(open_with(erp_name, clerk.section | changes, monkeypatch))
        return opened[-1]

    yield connect_with
    clerk.line.heal()
    for erp in opened:
        erp.close()


@pytest.fixture
def erp(connect: Connect) -> ERP:
    return connect()


@pytest.fixture
def write(company_erp: str) -> Write:
    """Write a voucher of 900.00 net, or of these lines, that the ERP takes; each with a number of its own."""

    def voucher(*amounts: str, **changes: Any) -> Voucher:
        return a_voucher(next(NUMBERS), *amounts, company_erp=company_erp, **changes)

    return voucher


def held(clerk: Clerk, *vouchers: Voucher) -> list[Held]:
    """Return what the ERP's own database holds under these vendors and numbers."""
    named = {(each.vendor_erp, each.invoice_number) for each in vouchers}
    return [each for each in clerk.held() if (each.vendor, each.number) in named]


def found(erp: ERP, voucher: Voucher) -> ErpInvoice:
    [there] = erp.find([voucher])[voucher.key]
    return there


def take(erp: ERP, *vouchers: Voucher) -> list[str]:
    """Have the ERP take vouchers, as many to a call as it can; return its ids."""
    size = erp.capabilities.invoices_per_call
    outcomes = [each for start in range(0, len(vouchers), size) for each in erp.create(vouchers[start : start + size])]
    assert [each for each in outcomes if not isinstance(each, Created)] == []
    return [each.document_id_erp for each in outcomes if isinstance(each, Created)]


def the_refusal(outcome: Outcome) -> Refused:
    assert isinstance(outcome, Refused), outcome
    return outcome


# What is written.


def test_nothing_blocks_a_sound_company_and_looking_for_it_writes_nothing(erp: ERP, erp_name: str, clerk: Clerk):
    before = clerk.held()

    assert [each for each in erp.check() if each.is_blocking] == []
    assert clerk.held() == before
    assert erp.capabilities.name == erp_name


def test_a_preview_asks_nobody_and_is_the_same_each_time(erp: ERP, write: Write, clerk: Clerk):
    voucher, asked = write(), clerk.line.requests

    assert erp.preview(voucher) == erp.preview(voucher) != {}
    assert clerk.line.requests == asked


@EVERYWHERE
def test_what_is_created_is_unposted_and_right_to_the_cent(erp: ERP, write: Write, clerk: Clerk):
    voucher = write("1234.57", "-0.34", "0.01", retention=Decimal("123.43"))
    [document_id] = take(erp, voucher)
    [there], shown = held(clerk, voucher), found(erp, voucher)

    assert (there.key, there.state, there.paid) == (voucher.key, "unposted", 0)
    assert (there.gross, there.retention) == (Decimal("1234.24"), Decimal("123.43"))
    assert sorted(there.lines) == [Decimal("-0.34"), Decimal("0.01"), Decimal("1234.57")]
    assert shown.equals(voucher)
    assert (shown.document_id_erp, shown.state, shown.batch_code) == (document_id, "unposted", voucher.batch_code)
    assert (shown.company_erp, shown.currency, shown.invoice_on) == (voucher.company_erp, "USD", voucher.invoice_on)


def test_no_retention_is_no_retention(erp: ERP, write: Write, clerk: Clerk):
    voucher = write("0.01", retention=Decimal(0))
    take(erp, voucher)

    assert [(each.gross, each.retention) for each in held(clerk, voucher)] == [(Decimal("0.01"), 0)]
    assert found(erp, voucher).equals(voucher)


@EVERYWHERE
def test_whoever_looks_first_creates_once(erp: ERP, write: Write, clerk: Clerk):
    vouchers = [write(), write()]
    for _ in range(3):
        there = erp.find(vouchers)
        take(erp, *(each for each in vouchers if not there[each.key]))

    assert len(held(clerk, *vouchers)) == 2


@EVERYWHERE
def test_a_second_one_is_refused_where_that_is_claimed_and_else_shown_beside_the_first(
    erp: ERP, write: Write, clerk: Clerk
):
    voucher = write()
    [document_id] = take(erp, voucher)
    [again] = erp.create([voucher])

    if erp.capabilities.refuses_duplicates:
        assert isinstance(again, Refused) or again.document_id_erp == document_id
        assert len(held(clerk, voucher)) == 1
    else:
        assert len(erp.find([voucher])[voucher.key]) == len(held(clerk, voucher)) == 2


@EVERYWHERE
def test_four_who_write_at_once_make_one_invoice_where_the_erp_refuses_the_others(
    connect: Connect, write: Write, clerk: Clerk
):
    voucher, writers = write(), [connect() for _ in range(4)]

    def send(erp: ERP) -> str:
        try:
            return type(erp.create([voucher])[0]).__name__
        except (UnconfirmedError, TransientError) as error:
            return type(error).__name__

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(send, writers))

    assert "Created" in outcomes
    assert len(held(clerk, voucher)) == (1 if writers[0].capabilities.refuses_duplicates else 4)


def test_one_that_is_refused_stops_no_other_of_its_call(erp: ERP, write: Write, clerk: Clerk):
    vouchers = [write(), write(vendor_erp="NOBODY"), write()]
    size = erp.capabilities.invoices_per_call
    outcomes = [each for n in range(0, 3, size) for each in erp.create(vouchers[n : n + size])]

    assert [each.key for each in outcomes] == [each.key for each in vouchers]
    assert [type(each) for each in outcomes] == [Created, Refused, Created]
    assert any("NOBODY" in reason for reason in the_refusal(outcomes[1]).reasons)
    assert [each.number for each in held(clerk, *vouchers)] == [vouchers[0].invoice_number, vouchers[2].invoice_number]


def test_a_vendor_whom_accounting_retired_is_refused_and_no_longer_active(erp: ERP, write: Write, clerk: Clerk):
    voucher = write()
    clerk.retire("CONC01")
    [outcome] = erp.create([voucher])
    is_active = [each.is_active for each in erp.reference().vendors if each.code == "CONC01"]
    clerk.reinstate("CONC01")

    assert the_refusal(outcome).reasons != ()
    assert held(clerk, voucher) == []
    assert is_active == [False]


# What a failure means.


@pytest.mark.parametrize(
    ("trouble", "there"),
    [("request lost", 0), pytest.param("answer lost", 1, marks=EVERYWHERE), ("answer cut", 1), ("answer late", 1)],
)
def test_a_lost_answer_is_unconfirmed_and_a_look_tells_what_there_is(
    connect: Connect, write: Write, clerk: Clerk, trouble: Any, there: int
):
    erp, voucher = connect(timeout=clerk.patience), write()
    erp.find([voucher])  # whoever writes is logged in, and looked before
    clerk.line.befall(trouble)
    with pytest.raises(UnconfirmedError):
        erp.create([voucher])

    assert len(connect().find([voucher])[voucher.key]) == len(held(clerk, voucher)) == there


def test_a_request_that_comes_after_its_sender_gave_up_is_found_when_it_has_come(erp: ERP, write: Write, clerk: Clerk):
    voucher = write()
    clerk.line.befall("request late")
    with pytest.raises(UnconfirmedError):
        erp.create([voucher])
    before = erp.find([voucher])
    clerk.line.let_arrive()

    assert before == {voucher.key: []}
    assert found(erp, voucher).equals(voucher)
    assert len(held(clerk, voucher)) == 1


def test_where_nobody_listens_nothing_was_written_for_certain(connect: Connect, write: Write, clerk: Clerk):
    voucher = write()
    nowhere = connect(url="http://127.0.0.1:9")

    with pytest.raises(TransientError):
        nowhere.create([voucher])
    assert held(clerk, voucher) == []


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (503, {}, UnconfirmedError),
        (500, {}, UnconfirmedError),
        (408, {}, UnconfirmedError),
        (429, {"Retry-After": "3600"}, TransientError),
        (401, {}, SettingsError),
    ],
)
def test_what_the_server_says_of_a_write_tells_whether_it_may_be_sent_again(
    erp: ERP, write: Write, clerk: Clerk, status: int, headers: dict[str, str], kind: type[TieoutError]
):
    voucher = write()
    clerk.line.befall("refused", times=5, status=status, **headers)
    with pytest.raises(kind) as failure:
        erp.create([voucher])

    assert clerk.line.words in str(failure.value)
    assert "line-" in (failure.value.request_id or "")
    assert held(clerk, voucher) == []


def test_a_refusal_keeps_the_words_and_the_id_under_which_they_were_logged(erp: ERP, write: Write, clerk: Clerk):
    vouchers = [write(), write()]
    clerk.line.befall("refused", times=5)
    outcomes = [the_refusal(each) for each in erp.create(vouchers)]

    assert [each.key for each in outcomes] == [each.key for each in vouchers]
    assert all(clerk.line.words in each.reasons[0] for each in outcomes)
    assert all((each.request_id or "").startswith("line-") for each in outcomes)
    assert held(clerk, *vouchers) == []


def test_a_secret_is_in_no_error_no_picture_of_an_object_and_no_log(
    erp_name: str, connect: Connect, write: Write, clerk: Clerk, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    fields = import_module(f"tieout.connectors.{erp_name}").Settings.model_fields
    secret = [each for each, field in fields.items() if field.annotation is SecretStr]
    told, voucher = [], write()
    for field_name in secret:
        try:
            wrong = connect(**{field_name: NOT_A_SECRET_OF_OURS})
            told += [repr(wrong), str(vars(wrong)), str(wrong.check())]
            wrong.create([voucher])
        except TieoutError as error:
            told += [str(error), repr(error), "".join(traceback.format_exception(error))]
    right = connect()
    for trouble in ("request lost", "answer cut", "refused"):
        clerk.line.befall(trouble, times=5, status=503)
        with pytest.raises(UnconfirmedError) as failure:
            right.create([voucher])
        clerk.line.heal()
        told += [str(failure.value), repr(right), "".join(traceback.format_exception(failure.value))]

    assert secret
    password = NOT_A_SECRET_OF_OURS.partition("ann:")[2].partition("@")[0]
    ours = [str(clerk.section[each]) for each in secret]
    known = [password, *(each for each in ours if "://" not in each)]  # an address without a password is none
    assert [each for each in known if any(each in text for text in (*told, caplog.text))] == []


# What it can, and what it cannot.


@pytest.mark.parametrize("capability", NEEDS)
def test_a_capability_that_is_denied_is_refused_with_the_reason_before_any_call(
    erp: ERP, clerk: Clerk, erp_name: str, capability: str
):
    claimed, asked = getattr(erp.capabilities, capability), clerk.line.requests
    rule, an_invoice_that_needs_it, _ = NEEDS[capability]
    case = an_invoice_that_needs_it(erp=erp.capabilities.model_dump())
    findings = {each.rule: each for each in check([case])[case.invoice.invoice_id_procore]}

    assert (rule in findings) is not claimed
    if not claimed:
        assert verdict(findings.values()) != "READY"
        assert erp_name.capitalize() in findings[rule].message + findings[rule].remedy
    assert clerk.line.requests == asked


@pytest.mark.parametrize("capability", NEEDS)
def test_a_capability_that_is_claimed_is_shown(erp: ERP, write: Write, clerk: Clerk, capability: str):
    if not getattr(erp.capabilities, capability):
        return
    amounts = NEEDS[capability][2]
    assert amounts, f"a voucher cannot say yet what {capability} means: no connector may claim it"
    voucher = write(*amounts, retention=Decimal(0))
    take(erp, voucher)

    assert [each.gross for each in held(clerk, voucher)] == [voucher.gross]
    assert found(erp, voucher).equals(voucher)


def test_an_unposted_invoice_is_changed_where_that_is_claimed_and_else_refused_before_any_call(
    erp: ERP, write: Write, clerk: Clerk
):
    voucher = write()
    [document_id] = take(erp, voucher)
    changed = changed_like(voucher, write("1250.26", "-0.01", retention=Decimal("125.02")))
    asked = clerk.line.requests
    outcome = erp.update(changed)

    if erp.capabilities.update:
        assert outcome == Created(key=voucher.key, document_id_erp=document_id)
        assert [(each.gross, each.retention) for each in held(clerk, voucher)] == [(changed.gross, changed.retention)]
        assert sorted(held(clerk, voucher)[0].lines) == [Decimal("-0.01"), Decimal("1250.26")]
        assert found(erp, changed).equals(changed)
    else:
        assert the_refusal(outcome).reasons != ()
        assert clerk.line.requests == asked
        assert found(erp, voucher).equals(voucher)


def test_what_is_posted_and_what_is_not_there_is_not_changed(erp: ERP, write: Write, clerk: Clerk):
    posted, absent = write(), write()
    take(erp, posted)
    clerk.post(posted)
    outcomes = [erp.update(changed_like(each, write("7.00", retention=Decimal(0)))) for each in (posted, absent)]

    assert [each.key for each in map(the_refusal, outcomes)] == [posted.key, absent.key]
    assert [(each.state, each.gross) for each in held(clerk, posted, absent)] == [("posted", posted.gross)]


@pytest.mark.parametrize("trouble", ["request lost", "answer lost"])
def test_a_lost_answer_to_a_change_is_unconfirmed_and_a_look_tells_which_figures_it_has(
    erp: ERP, write: Write, clerk: Clerk, trouble: Any
):
    if not erp.capabilities.update:
        return
    voucher = write()
    take(erp, voucher)
    changed = changed_like(voucher, write("1250.25"))
    clerk.line.befall(trouble)
    with pytest.raises(UnconfirmedError):
        erp.update(changed)

    shown = voucher if trouble == "request lost" else changed
    assert found(erp, shown).equals(shown)
    assert [each.gross for each in held(clerk, voucher)] == [shown.gross]


def changed_like(voucher: Voucher, wanted: Voucher) -> Voucher:
    """Return the voucher with the figures of another one."""
    return voucher.model_copy(update={each: getattr(wanted, each) for each in ("gross", "retention", "lines")})


def test_the_longest_number_arrives_whole_and_a_longer_one_is_held_before_any_call(
    erp: ERP, write: Write, clerk: Clerk
):
    longest = erp.capabilities.invoice_number_length
    voucher = write(invoice_number="N" * longest)
    take(erp, voucher)
    facts, asked = {"erp": erp.capabilities.model_dump()}, clerk.line.requests
    fits, too_long = (a_case(an_invoice(invoice_number="N" * each), **facts) for each in (longest, longest + 1))

    assert [each.number for each in held(clerk, voucher)] == ["N" * longest]
    assert [rules_broken(each) & {"number-too-long"} for each in (fits, too_long)] == [set(), {"number-too-long"}]
    assert clerk.line.requests == asked


def test_a_contract_number_that_does_not_fit_is_held_before_any_call(erp: ERP, clerk: Clerk):
    limit, asked = erp.capabilities.contract_number_length, clerk.line.requests
    capabilities = erp.capabilities.model_dump()
    cases = [
        a_case(books=some_books(commitments=(a_commitment(erp_code="C" * each),)), erp=capabilities)
        for each in (limit, limit + 1)
    ]

    assert ["contract-too-long" in rules_broken(each) for each in cases] == [False, True]
    assert clerk.line.requests == asked


def rules_broken(case: Case) -> set[str]:
    return {each.rule for each in check([case])[case.invoice.invoice_id_procore]}


# What accounting does.


def test_posting_is_seen_and_we_did_not_do_it(erp: ERP, write: Write, clerk: Clerk):
    posted, untouched = write(), write()
    take(erp, posted, untouched)
    since = clerk.now()
    before = [each.state for each in held(clerk, posted, untouched)]
    clerk.post(posted)

    assert before == ["unposted", "unposted"]
    assert (found(erp, posted).state, found(erp, untouched).state) == ("posted", "unposted")
    assert [(each.key, each.state) for each in erp.invoices(since)] == [(posted.key, "posted")]
    assert {each.key for each in erp.invoices(None)} >= {posted.key, untouched.key}


@EVERYWHERE
def test_payments_are_seen_in_part_in_full_and_voided(erp: ERP, write: Write, clerk: Clerk):
    voucher = write()
    take(erp, voucher)
    clerk.post(voucher)
    others = {each.application_id_erp for each in erp.payments(None)}
    first = clerk.pay(voucher, Decimal("400.01"))
    in_part = [each for each in erp.payments(None) if each.application_id_erp not in others]
    since = clerk.now()
    second = clerk.pay(voucher)
    in_full = {each.check_number: each for each in erp.payments(since)}
    since = clerk.now()
    clerk.void_check(first)
    voided = {each.check_number: each for each in erp.payments(since)}

    assert [(each.check_number, each.amount, each.is_void) for each in in_part] == [(first, Decimal("400.01"), False)]
    assert (in_part[0].vendor_erp, in_part[0].invoice_number) == (voucher.vendor_erp, voucher.invoice_number)
    assert (in_part[0].company_erp, in_part[0].currency) == (voucher.company_erp, "USD")
    assert (in_full[second].amount, in_full[second].is_void) == (Decimal("499.99"), False)
    assert (voided[first].amount, voided[first].is_void) == (Decimal("400.01"), True)
    assert voided[first].voided_on is not None
    assert voided[first].application_id_erp == in_part[0].application_id_erp
    assert len({each.application_id_erp for each in erp.payments(None)} - others) == 2
    assert [each.paid for each in held(clerk, voucher)] == [Decimal("499.99")]
    now = clerk.now()
    assert (list(erp.payments(now)), list(erp.invoices(now))) == ([], [])


@EVERYWHERE
def test_a_void_is_seen_and_counts_no_longer_as_what_we_sent(erp: ERP, write: Write, clerk: Clerk):
    voucher = write()
    take(erp, voucher)
    clerk.post(voucher)
    since = clerk.now()
    clerk.void(voucher)

    assert (found(erp, voucher).state, found(erp, voucher).equals(voucher)) == ("void", False)
    assert [(each.key, each.state) for each in erp.invoices(since)] == [(voucher.key, "void")]


def test_what_a_clerk_edits_is_seen(erp: ERP, write: Write, clerk: Clerk):
    voucher = write()
    take(erp, voucher)
    since = clerk.now()
    clerk.edit(voucher, Decimal("1100.10"))

    assert found(erp, voucher).differences(voucher) == {"gross": ("1000.00", "1100.10")}
    assert [each.gross for each in erp.invoices(since)] == [Decimal("1100.10")]


def test_what_a_clerk_deletes_is_gone(erp: ERP, write: Write, clerk: Clerk):
    voucher = write()
    take(erp, voucher)
    clerk.delete(voucher)

    assert erp.find([voucher]) == {voucher.key: []}
    assert voucher.key not in {each.key for each in erp.invoices(None)}


def test_one_without_its_key_is_found_by_vendor_and_number_and_is_no_longer_among_ours(
    erp: ERP, write: Write, clerk: Clerk
):
    voucher = write()
    take(erp, voucher)
    clerk.remove_key(voucher)

    assert (found(erp, voucher).key, found(erp, voucher).equals(voucher)) == (None, True)
    assert voucher.invoice_number not in {each.invoice_number for each in erp.invoices(None)}


@EVERYWHERE
def test_a_record_that_cannot_be_read_is_named_and_takes_no_other_with_it(erp: ERP, write: Write, clerk: Clerk):
    spoiled, sound = write(), write()
    namesake = write(vendor_erp="STEEL01", invoice_number=spoiled.invoice_number)
    take(erp, spoiled, sound)
    for each in (spoiled, sound):
        clerk.post(each)
    check, other = clerk.pay(spoiled), clerk.pay(sound)
    with clerk.spoiled(spoiled, check):
        invoices, payments = list(erp.invoices(None)), list(erp.payments(None))
        with pytest.raises(ContractError) as failure:
            erp.find([spoiled])
        there = found(erp, sound)
        of_another_vendor = erp.find([namesake])
    [invoice], [payment] = ([each for each in read if isinstance(each, Unreadable)] for read in (invoices, payments))

    assert spoiled.invoice_number in failure.value.document
    assert spoiled.invoice_number in invoice.document
    assert check in payment.document
    assert "unreadable" in invoice.reason
    assert there.equals(sound)
    assert of_another_vendor == {namesake.key: []}
    assert sound.key in {each.key for each in invoices if isinstance(each, ErpInvoice)}
    assert other in {each.check_number for each in payments if isinstance(each, Payment)}
    assert found(erp, spoiled).equals(spoiled)


# How much there may be.


@EVERYWHERE
def test_more_than_a_page_is_read_to_its_end_though_rows_change_meanwhile(erp: ERP, write: Write, clerk: Clerk):
    vouchers = [write() for _ in range(6)]
    take(erp, *vouchers)
    reading = erp.invoices(None)
    seen = [next(reading).key]
    for each in (vouchers[0], vouchers[4]):  # one that was read perhaps, and one that perhaps was not
        clerk.post(each)
    clerk.edit(vouchers[5], Decimal("1234.56"))
    seen += [each.key for each in reading]
    checks = {clerk.pay(vouchers[0], Decimal(amount)) for amount in ("1.00", "2.00", "3.00", "4.00")}

    assert set(seen) >= {each.key for each in vouchers}
    assert checks <= {each.check_number for each in erp.payments(None)}
    assert [len(there) for there in erp.find(vouchers).values()] == [1] * 6


def test_more_keys_than_fit_into_one_question_are_all_looked_for(erp: ERP, write: Write):
    vouchers = [write() for _ in range(450)]
    there = [vouchers[0], vouchers[225], vouchers[449]]
    take(erp, *there)
    held_there = erp.find(vouchers)

    assert list(held_there) == [each.key for each in vouchers]
    assert [key for key, records in held_there.items() if records] == [each.key for each in there]


# The kit itself.


def test_a_connector_without_an_accountings_side_fails_with_words_that_say_what_to_add():
    with pytest.raises(pytest.fail.Exception, match=r"add tests/clerks/nobody\.py with a function hire"):
        clerk_of("nobody")

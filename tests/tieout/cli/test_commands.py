"""What a person at a terminal is told, and the exit status that a script goes by."""

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from click.testing import Result
from desk import Desk
from ledgers import ON_BOTH_DATABASES, unguarded
from typer.testing import CliRunner

from tieout import settings
from tieout.cli import app

Command = Callable[..., Result]


@pytest.fixture
def tieout(desk: Desk) -> Command:
    """Run the command as a shell would; an error that is not told in words fails the test."""

    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


def facts(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_project_s_invoices_are_listed_as_table_csv_and_json(desk: Desk, tieout: Command):
    desk.night()
    shown = desk.requisitions()
    project = {row["project_id"] for row in shown.values()}.pop()
    rows = {row["invoice_id"]: row for row in facts(tieout("grid", project, "--json"))["invoices"]}
    sheet = list(csv.DictReader(tieout("grid", project, "--csv").stdout.splitlines()))
    numbers = {row["invoice_number"] for row in shown.values()}

    assert {each: rows[each]["gross"] for each in rows} == {each: row["gross"] for each, row in shown.items()}
    assert {row["number"] for row in sheet} == numbers
    assert {row["status"] for row in sheet} == {"In Queue"}
    assert all(number in tieout("grid", project).stdout for number in numbers)
    assert tieout("grid", project, "--past-days", -1).exit_code == 1
    assert "Procore never listed it" in tieout("grid", 404).output


def rights(result: Result) -> dict[int, dict[str, str]]:
    return {each["project_id_procore"]: each for each in facts(result)["projects"]}


def blocking(result: Result) -> list[str]:
    return [each["message"] for each in facts(result)["problems"] if each["is_blocking"]]


def exported_one(desk: Desk) -> int:
    """Bring everything into the ERP and return one invoice that is alone in its number."""
    accepted = desk.export_everything()
    numbers = [desk.item(each).number for each in accepted]
    return next(each for each in accepted if numbers.count(desk.item(each).number) == 1)


def test_doctor_finds_nothing_blocking_in_a_sound_set_up(tieout: Command):
    result = tieout("doctor", "--json")

    assert (result.exit_code, blocking(result)) == (0, [])
    assert set(facts(result)["versions"]) == {"tieout", "prefect", "python"}


def test_doctor_names_the_project_that_does_not_let_us_in(tieout: Command):
    projects = facts(tieout("doctor", "--json"))["projects"]

    [closed] = [each for each in projects if each["invoices"] != "ok"]
    assert "permission" in closed["invoices"]


@pytest.mark.sandbox(projects=2)
@pytest.mark.parametrize(
    ("switch", "right", "words"),
    [("payments_issued", "payments_issued", "Payments Issued"), ("commitments_tool", "commitments", "Commitments")],
)
def test_doctor_names_the_project_whose_tool_is_off(desk: Desk, tieout: Command, switch: str, right: str, words: str):
    project, other = (each["id"] for each in desk.look("procore", "contractor")["projects"])
    desk.play("procore", f"projects/{project}", {switch: False})
    result = tieout("doctor", "--json")

    assert result.exit_code == 0
    assert words in rights(result)[project][right]
    assert rights(result)[other][right] == "ok"


@pytest.mark.sandbox(projects=2)
def test_doctor_says_which_project_the_policy_passes_over(desk: Desk, tieout: Command):
    [project, _] = [each["id"] for each in desk.look("procore", "contractor")["projects"]]
    desk.set("policy", skip_projects=json.dumps([project]))

    assert "the policy skips it" in rights(tieout("doctor", "--json"))[project]["export"]


@pytest.mark.parametrize(
    ("proof", "key", "words"),
    [
        ("name", "", "tieout believes every name that somebody types"),
        ("totp", "", "TIEOUT_APPROVAL__KEY is not set: nobody can decide anything"),
        ("totp", "short", "TIEOUT_APPROVAL__KEY is shorter than 32 bytes: nobody can decide anything"),
    ],
)
def test_doctor_says_what_is_wrong_with_the_proof_of_who_decides(
    desk: Desk, tieout: Command, proof: str, key: str, words: str
):
    desk.set("approval", proof=proof, key=key)
    found = facts(tieout("doctor", "--json"))["problems"]

    assert [each["message"] for each in found if words in each["message"]] != []


def test_doctor_warns_when_nobody_may_decide(desk: Desk, tieout: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TIEOUT_PEOPLE", "[]")

    found = facts(tieout("doctor", "--json"))["problems"]
    assert [each["check"] for each in found if "nobody can accept what is Ready to Export" in each["message"]] == [
        "people"
    ]


def test_wrong_credentials_block_and_are_not_repeated(desk: Desk, tieout: Command):
    desk.set("procore", client_secret="hunter2-is-not-it")
    result = tieout("doctor")

    assert result.exit_code == 1
    assert "client secret" in result.stdout
    assert "hunter2" not in result.output


def test_an_info_link_table_that_may_not_be_read_blocks(desk: Desk, tieout: Command):
    table = "VN_PAYMENT_HISTORY_MC"
    desk.play("spectrum", "info_link", {"table": table, "enabled": False})
    result = tieout("doctor", "--json")

    assert result.exit_code == 1
    assert [message for message in blocking(result) if table in message]


def test_a_bad_row_of_the_mapping_table_is_named_by_its_line(desk: Desk, tieout: Command):
    desk.mapping_csv.write_text(desk.mapping_csv.read_text() + "colour,red,,RED,\n")

    assert "mapping.csv, line" in tieout("doctor").stdout


def test_proof_by_name_is_warned_about(tieout: Command):
    warnings = [each["message"] for each in facts(tieout("doctor", "--json"))["problems"]]

    assert any("approval.proof" in words for words in warnings)


@pytest.mark.parametrize("command", [("status",), ("show", "1"), ("audit", "verify")])
def test_a_ledger_that_is_not_there_is_told_in_words(desk: Desk, tieout: Command, command: tuple[str, ...]):
    desk.set("ledger", url=f"sqlite:///{desk.folder}/nowhere/ledger.sqlite")
    result = tieout(*command)

    assert result.exit_code == 1
    assert "tieout ledger upgrade" in result.output
    assert "Traceback" not in result.output
    assert not (desk.folder / "nowhere").exists()


def test_the_ledger_is_made_by_upgrade_which_may_be_run_again(desk: Desk, tieout: Command):
    desk.set("ledger", url=f"sqlite:///{desk.folder}/new/ledger.sqlite")

    assert [tieout("ledger", "upgrade").exit_code for _ in range(2)] == [0, 0]
    assert tieout("status").exit_code == 0


def test_status_counts_the_invoices_by_state(desk: Desk, tieout: Command):
    desk.night()
    ready = facts(tieout("status", "--json"))
    accepted = desk.accept()
    desk.night()
    exported = facts(tieout("status", "--json"))

    assert ready["states"] == {"READY": len(accepted)}
    assert sum(ready["ready_to_export_by_project"].values()) == len(accepted)
    assert exported["states"] == {"EXPORTED": len(accepted)}
    assert sum(exported["unposted_batches"].values()) == exported["in_erp"] == len(accepted)


@pytest.mark.sandbox(invoices=30, troubles=True)
def test_status_names_the_causes(desk: Desk, tieout: Command):
    desk.night()
    counted = facts(tieout("status", "--json"))

    assert sum(counted["causes"]["HELD"].values()) == counted["states"]["HELD"]
    assert next(iter(counted["causes"]["HELD"])) in tieout("status").stdout


def test_show_derives_the_amount_that_the_erp_holds(desk: Desk, tieout: Command):
    invoice = exported_one(desk)
    shown = facts(tieout("show", desk.item(invoice).number, "--json"))
    lines = shown["arithmetic"]["lines"]

    assert shown["invoice_id_procore"] == invoice
    assert sum(Decimal(line["exported"]) for line in lines) == Decimal(desk.exported()[invoice]["Invoice_Amount"])
    assert all(tie["holds"] for tie in shown["arithmetic"]["ties"])
    assert shown["in_erp"]["batch"] == desk.exported()[invoice]["Batch_Code"].strip()
    assert shown["in_erp"]["menu_path"] == "Accounts Payable > Data Entry > Vendor Invoices"


def test_show_tells_what_happened_and_how_payments_stand(desk: Desk, tieout: Command):
    invoice = exported_one(desk)
    desk.post()
    desk.cut_check([invoice])
    desk.pay()
    shown = facts(tieout("show", invoice, "--json"))

    assert (shown["state"], shown["icon"]) == ("PAID", "green")
    assert [payment["icon"] for payment in shown["payments"]] == ["green"]
    assert [event["after"] for event in shown["timeline"]][:2] == ["READY", "ACCEPTED"]
    words = tieout("show", invoice).stdout
    assert all(each in words for each in ("PAID", "Accounts Payable", "G703", "G702", shown["payments"][0]["check"]))


@pytest.mark.sandbox(invoices=30, troubles=True)
def test_show_says_what_to_do(desk: Desk, tieout: Command):
    desk.night()
    for item in desk.items("HELD"):
        result = tieout("show", item.invoice_id)
        assert result.exit_code == 0
        assert item.reasons[0].remedy.split(".")[0][:40] in " ".join(result.stdout.split())


def test_a_number_of_several_invoices_lists_them(desk: Desk, tieout: Command):
    first, second, *_ = desk.requisitions()
    desk.edit(second, invoice_number="TWICE 1")
    desk.edit(first, invoice_number="TWICE 1")
    desk.night()
    result = tieout("show", "TWICE 1", "--json")

    assert result.exit_code == 2
    assert {each["invoice_id_procore"] for each in facts(result)["candidates"]} == {first, second}


def test_an_invoice_that_was_never_sent_is_told_with_its_status(desk: Desk, tieout: Command):
    invoice = next(iter(desk.requisitions()))
    desk.set_status(invoice, "under_review")
    desk.night()

    for wanted, words in ((invoice, "under_review"), ("no such number", "was ever sent")):
        result = tieout("show", wanted)
        assert result.exit_code == 1
        assert words in result.output


def test_names_cannot_steer_the_terminal(desk: Desk, tieout: Command):
    invoice = next(iter(desk.requisitions()))
    desk.edit(invoice, vendor_name="Acme \x1b[2J\x1b[31m[red]Concrete[/red]")
    desk.night()
    shown = tieout("show", invoice).stdout

    assert "\x1b" not in shown
    assert "[red]Concrete[/red]" in shown


@ON_BOTH_DATABASES
def test_verify_tells_a_ledger_that_was_changed(desk: Desk, tieout: Command):
    desk.export_everything()
    assert tieout("audit", "verify").exit_code == 0

    desk.close()
    with unguarded(settings.read().ledger_url) as connection:
        connection.exec_driver_sql("update event set actor = 'nobody' where event_id = 2")
    result = tieout("audit", "verify", "--json")

    assert result.exit_code == 1
    assert any("event 2" in words for words in facts(result)["breaks"])


@ON_BOTH_DATABASES
def test_rebuild_tells_an_invoice_that_does_not_stand_as_its_events_tell(desk: Desk, tieout: Command):
    desk.night()
    assert "All 6 invoices match" in tieout("audit", "rebuild").output

    desk.close()
    with unguarded(settings.read().ledger_url) as connection:
        connection.exec_driver_sql("update item set gross_minor = 1 where item_id = 3")
    result = tieout("audit", "rebuild", "--json")

    assert result.exit_code == 1
    assert [words.partition(": ")[2][:19] for words in facts(result)["differences"]] == ["its gross_minor is "]


def test_the_head_of_another_day_is_taken_as_an_anchor(desk: Desk, tieout: Command):
    desk.night()
    head = facts(tieout("audit", "verify", "--json"))["head"]
    desk.accept()

    assert tieout("audit", "verify", "--anchor", head).exit_code == 0
    assert tieout("audit", "verify", "--anchor", f"9{head}").exit_code == 1


def test_a_backup_overwrites_nothing(desk: Desk, tieout: Command):
    (desk.folder / "precious").write_text("something else")
    result = tieout("ledger", "backup", desk.folder / "precious")

    assert result.exit_code != 0
    assert "is there already" in result.output
    assert (desk.folder / "precious").read_text() == "something else"

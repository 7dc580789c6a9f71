"""Codes come from Procore's ERP codes, else from the table; never from a guess."""

from datetime import date
from pathlib import Path

import pytest
from builders import TODAY, a_commitment, a_line, a_vendor, some_books

from data_contracts.commitment import CommitmentLine, CostCode
from tieout.judgement.mapping import CodeMap, MappingRow, read_mapping_csv

HEADING = "kind,procore,job,erp,valid_from\n"


def row(kind: str, procore: str, erp: str, **more: object) -> MappingRow:
    return MappingRow.model_validate({"kind": kind, "procore": procore, "erp": erp, **more})


def mapping(*rows: MappingRow, on: date = TODAY, **books: object) -> CodeMap:
    return CodeMap(some_books(**books), (a_vendor(), a_vendor(vendor_id_procore=613, erp_code=None)), rows, on)


def unlinked() -> dict[str, object]:
    line = CommitmentLine(line_id_procore=10, amount="1.00", cost_code="09-200", cost_type="S")
    return {"commitments": (a_commitment(erp_code=None, lines=(line,)),)}


def test_the_code_that_procore_carries_comes_first():
    found = mapping(
        row("vendor", "612", "OTHER"),
        row("job", "41", "OTHER"),
        row("subcontract", "77", "OTHER"),
        row("phase", "09-200", "OTHER"),
        row("cost_type", "S", "OTHER"),
    )

    assert (found.vendor(612), found.job(41), found.subcontract(77)) == ("EXDRY", "26-041", "2601")
    assert (found.phase(a_line()), found.cost_type(a_line())) == ("09200", "SUB")


def test_the_table_answers_where_procore_has_no_code():
    found = mapping(
        row("vendor", "613", "V613"),
        row("subcontract", "77", "SC77"),
        row("phase", "09-200", "09-20"),
        row("cost_type", "S", "SC"),
        **unlinked(),
    )

    assert (found.vendor(613), found.subcontract(77)) == ("V613", "SC77")
    assert (found.phase(a_line()), found.cost_type(a_line())) == ("09-20", "SC")


def test_what_is_nowhere_stays_unmapped():
    found = mapping(row("phase", "09-20", "09200"), row("vendor", "6130", "V"), **unlinked())

    assert (found.vendor(613), found.vendor(None), found.subcontract(77)) == (None, None, None)
    assert (found.phase(a_line()), found.cost_type(a_line())) == (None, None)


def test_a_line_that_no_schedule_of_values_knows_is_coded_by_its_own_codes():
    line = a_line(commitment_line_id_procore=None, wbs_code="09-900.S")
    by_id = a_line(commitment_line_id_procore=None, wbs_code=None, cost_code_id_procore=30)
    found = mapping(row("phase", "09-900", "FROMROW"), row("cost_type", "S", "SUB"))

    assert (found.phase(line), found.cost_type(line)) == ("FROMROW", "SUB")
    assert found.phase(by_id) == "09900"


def test_a_cost_code_without_an_erp_code_is_looked_up_by_its_full_code():
    codes = (CostCode(cost_code_id_procore=30, code="09-900"),)
    line = a_line(commitment_line_id_procore=None, wbs_code=None, cost_code_id_procore=30)

    assert mapping(row("phase", "09-900", "FROMROW"), cost_codes=codes).phase(line) == "FROMROW"


@pytest.mark.parametrize(
    ("on", "code"),
    [(date(2025, 12, 31), "A"), (date(2026, 1, 1), "B"), (date(2026, 6, 30), "B"), (date(2026, 7, 1), "C")],
)
def test_the_latest_row_in_force_on_the_day_holds(on: date, code: str):
    rows = (
        row("vendor", "613", "C", valid_from=date(2026, 7, 1)),
        row("vendor", "613", "A"),
        row("vendor", "613", "B", valid_from=date(2026, 1, 1)),
    )

    assert mapping(*rows, on=on).vendor(613) == code


def test_a_row_for_the_job_comes_before_a_row_for_every_job():
    rows = (
        row("phase", "09-200", "ALL"),
        row("phase", "09-200", "HERE", job="26-041"),
        row("cost_type", "S", "X", job="9"),
    )
    found = mapping(*rows, **unlinked())

    assert (found.phase(a_line()), found.cost_type(a_line())) == ("HERE", None)


def test_the_fingerprint_moves_with_the_codes_in_force_and_with_nothing_else():
    plain, later = mapping(), row("vendor", "613", "V", valid_from=date(2027, 1, 1))

    assert mapping(later).fingerprint() == plain.fingerprint()
    assert mapping(later, on=date(2027, 1, 1)).fingerprint() != plain.fingerprint()
    assert mapping(commitments=(a_commitment(erp_code="2602"),)).fingerprint() != plain.fingerprint()


def written(folder: Path, text: str) -> Path:
    path = folder / "mapping.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_is_read(tmp_path: Path):
    rows, problems = read_mapping_csv(
        written(tmp_path, HEADING + "vendor,612,,EXDRY,2026-01-31\nphase, 09-200 ,26-041,09200,\n")
    )

    assert problems == []
    assert rows == [
        row("vendor", "612", "EXDRY", valid_from=date(2026, 1, 31)),
        row("phase", "09-200", "09200", job="26-041"),
    ]


def test_columns_may_stand_in_any_order_and_after_a_byte_order_mark(tmp_path: Path):
    rows, problems = read_mapping_csv(
        written(tmp_path, "\ufefferp,note,valid_from,kind,procore,job\nEXDRY,new,,vendor,612,\n")
    )

    assert (rows, problems) == ([row("vendor", "612", "EXDRY")], [])


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("vender,612,,EXDRY,", "vender"),
        ("vendor,,,EXDRY,", "procore"),
        ("vendor,612,,,", "erp"),
        ("vendor,Example Drywall,,EXDRY,", "id"),
        ("phase,09-200,,09200,31.01.2026", "31.01.2026"),
        ("phase,09-200", "cells"),
        ("phase,09-200,,09200,,,", "cells"),
        ("vendor,1,,OTHER,", "line 2"),
    ],
)
def test_a_bad_row_is_reported_with_its_line_and_the_good_ones_are_kept(tmp_path: Path, line: str, word: str):
    rows, problems = read_mapping_csv(written(tmp_path, f"{HEADING}vendor,1,,A,\n{line}\nvendor,2,,B,\n"))

    assert [each.erp for each in rows] == ["A", "B"]
    assert [(each.is_blocking, "line 3" in each.message, word in each.message) for each in problems] == [
        (False, True, True)
    ]


@pytest.mark.parametrize("content", [b"", b"kind,procore\n", b"\xff\xfe\x00kind"])
def test_a_file_that_is_no_table_blocks(tmp_path: Path, content: bytes):
    path = tmp_path / "mapping.csv"
    path.write_bytes(content)

    rows, problems = read_mapping_csv(path)

    assert rows == []
    assert [each.is_blocking for each in problems] == [True]


def test_a_file_that_is_not_there_blocks(tmp_path: Path):
    _, problems = read_mapping_csv(tmp_path / "none.csv")

    assert [each.is_blocking for each in problems] == [True]

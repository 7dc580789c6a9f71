"""A backup that is older than the last night, taken and restored as docs/deployment.md says, makes nothing double."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

from desk import AFTER_A_NIGHT, Desk
from ledgers import ON_BOTH_DATABASES
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from benchmarks.postgresql import find_programs
from tieout import settings
from tieout.cli import app


def back_up(desk: Desk) -> Path:
    """Take a backup while the ledger is open."""
    url, file = make_url(settings.read().ledger_url), desk.folder / "ledger.backup"
    with desk.ledger.reading():
        if url.get_backend_name() == "sqlite":
            assert CliRunner().invoke(app, ["ledger", "backup", str(file)]).exit_code == 0
        else:
            postgresql("pg_dump", "--format=custom", f"--file={file}")
    return file


def restore(desk: Desk, backup: Path) -> None:
    desk.close()
    url = make_url(settings.read().ledger_url)
    if url.get_backend_name() == "sqlite":
        for old in Path(url.database or "").parent.glob(f"{Path(url.database or '').name}-*"):
            old.unlink()
        shutil.copy(backup, url.database or "")
    else:
        postgresql("pg_restore", "--clean", "--if-exists", str(backup))


def postgresql(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own programs on the ledger's database."""
    folder, address = find_programs(), make_url(settings.read().ledger_url).set(drivername="postgresql")
    assert folder
    database = f"--dbname={address.render_as_string(hide_password=False)}"
    subprocess.run([folder / program, database, *arguments], check=True)


@AFTER_A_NIGHT
@ON_BOTH_DATABASES
def test_a_backup_older_than_the_last_night_makes_no_invoice_and_no_payment_double(desk: Desk):
    accepted = desk.accept()
    backup = back_up(desk)
    desk.night()
    before = desk.exported()
    desk.post()
    for invoice_id in accepted[:2]:
        desk.cut_check([invoice_id])
    desk.night()
    told = [payment["origin_id"] for payment in desk.payments_issued()]
    restore(desk, backup)
    assert {item.state for item in desk.items()} == {"ACCEPTED"}
    for _ in range(2):
        desk.clock.advance(days=1)
        desk.night()

    assert set(desk.exported()) == set(accepted) == set(before)
    assert {row["Document_ID"] for row in desk.exported().values()} == {row["Document_ID"] for row in before.values()}
    assert Counter(payment["origin_id"] for payment in desk.payments_issued()) == Counter(told)
    assert len(told) == 2
    assert Counter(item.state for item in desk.items()) == {"PAID": 2, "POSTED": len(accepted) - 2}
    assert desk.audit() == []

"""Serve a contractor's company in Tryton until told to stop: `make tryton`.

The first time the company is built, which takes a minute; then it is copied. The contractor is that of the sandbox.
"""

import argparse
import json
import os
import signal
import sys
import threading
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from deployments.tryton import company, front, server
from tieout.sandbox.serve import Plan
from tieout.sandbox.sockets import serving

_DATABASE = "contractor"


def settings_of(url: str, database: str, company_name: str) -> dict[str, Any]:
    """Return the section `[tryton]` that leads to this database."""
    return {
        "url": url,
        "database": database,
        "user": company.INTEGRATION,
        "password": company.PASSWORD_OF[company.INTEGRATION],
        "company": company_name,
        "retention_account": company.RETENTION,
        "has_unique_key": True,
    }


def main() -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m deployments.tryton", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".tieout/tryton"), help="folder of the database")
    parser.add_argument("--sandbox", type=Path, help="the sandbox's folder, for the same contractor; else a new one")
    parser.add_argument("--postgresql", help="postgresql://ROLE@HOST:PORT of a server to use instead of a file")
    parser.add_argument("--json", action="store_true", help="one line of JSON when ready instead of words")
    given = parser.parse_args()
    try:
        _serve(_ready(given.data.resolve(), given.postgresql, plan_of(given.sandbox)), given.json)
    except server.ServerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def plan_of(sandbox: Path | None) -> Plan:
    """Return what the sandbox's contractor is made from, or one of its own."""
    if sandbox:
        return Plan(**json.loads((sandbox / "sandbox.json").read_text()))
    return Plan(1, 4, 60, None, True, datetime.now(UTC).date().isoformat())


def _ready(data: Path, postgresql: str | None, plan: Plan) -> tuple[server.Databases, str]:
    """Install what is not there, build or copy the company, and return where it is and what it is called."""
    books, today = plan.contractor().books, date.fromisoformat(plan.today)
    databases: server.Databases = server.SQLiteFiles(data, server.TEMPLATES)
    if postgresql:
        databases = server.PostgreSQLDatabases(postgresql, data)
    with server.alone(server.TEMPLATES):
        server.install()
        filled = server.company_of(databases.templates, books, today, _say)
        if not databases.exists(_DATABASE):
            databases.clone(filled, _DATABASE)
    return databases, books.company_name


def _serve(company_at: tuple[server.Databases, str], as_json: bool) -> None:
    databases, name = company_at
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with server.serving(databases) as url, serving(front.create_app(url, _DATABASE)) as address:
        server.wake(url, _DATABASE)
        facts = {"tryton": settings_of(address, _DATABASE, name), "control": address, "pid": os.getpid()}
        print(json.dumps(facts) if as_json else _in_words(facts), flush=True)
        stop.wait()


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _in_words(facts: dict[str, Any]) -> str:
    settings = "\n".join(f"export TIEOUT_TRYTON__{name.upper()}='{value}'" for name, value in facts["tryton"].items())
    return f"Tryton is ready. Its settings:\n\nexport TIEOUT_COMPANY__ERP=tryton\n{settings}\n\nCtrl-C ends it."


if __name__ == "__main__":
    raise SystemExit(main())

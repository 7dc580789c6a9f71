"""`tieout people`: who may do what, and the authenticator apps by which they prove who they are."""

import sys
from typing import Annotated, Any

import segno
import typer

from tieout.cli.console import notes, open_office, out, print_json, readable_ledger, table
from tieout.errors import SettingsError
from tieout.ledger.enrolments import Enrolment, read_enrolment
from tieout.office import Office
from tieout.people import codes, rights
from tieout.settings import Person

_TRIES = 3
people = typer.Typer(no_args_is_help=True, help="Show who may do what, and set up their one-time codes.")


@people.command(name="list")
def list_people(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the people of the settings: what each may do, and whether their one-time codes are set up."""
    office = open_office()
    with readable_ledger(office) as ledger, ledger.reading() as connection:
        people = office.settings.people.values()
        rows = [_row(office, each, read_enrolment(connection, each.name)) for each in people]
    if json:
        print_json(rows)
    else:
        headings = tuple(rows[0]) if rows else ("name",)
        out().print(table("People", headings, [tuple(row.values()) for row in rows]))


@people.command()
def enrol(
    name: Annotated[str, typer.Argument(help="The person's name, as the settings list it.")],
    show_uri: Annotated[bool, typer.Option("--show-uri", help="Print the address in the QR code too.")] = False,
) -> None:
    """Set up a person's authenticator app with a QR code, which is a secret: show it to nobody else.

    The codes of an earlier app count until the new one has shown a right code.
    """
    office = open_office()
    _require_known(office, name)
    if not sys.stdout.isatty():
        notes().print("The QR code is a secret and is shown in a terminal only.", style="red")
        raise typer.Exit(1)
    with readable_ledger(office) as ledger:
        issued = codes.issue(ledger, name, office)
        segno.make(issued.uri, error="m", micro=False).terminal(compact=True)
        if show_uri:
            print(issued.uri)
        for _ in range(_TRIES):
            if codes.confirm(ledger, issued, typer.prompt("The six digits that the app shows"), office):
                notes().print(f"From now on the codes of this app, and of no other, count for {name}.", markup=False)
                return
            notes().print("That is not the current code.", style="red")
    notes().print("Nothing was changed; run this again for another QR code.", style="red")
    raise typer.Exit(1)


@people.command()
def unlock(name: Annotated[str, typer.Argument(help="The person's name, as the settings list it.")]) -> None:
    """Unlock a person after wrong codes.

    Ask them first whether they typed those: anyone who reaches Prefect can.
    """
    office = open_office()
    _require_known(office, name)
    with readable_ledger(office) as ledger:
        was_locked = codes.unlock(ledger, name, office)
    notes().print(f"{name} may sign again." if was_locked else f"{name} was not locked.", markup=False)


def _require_known(office: Office, name: str) -> None:
    if name not in office.settings.people:
        raise SettingsError("Settings", f"{name!r}", "there is no [[people]] of that name")


def _row(office: Office, person: Person, enrolled: Enrolment) -> dict[str, Any]:
    sends = person.commitments_admin
    may = [right.name for right in (rights.APPROVER, rights.PAYMENTS) if not right.lacks(person)]
    may += [f"send from {'all projects' if sends == 'all' else ', '.join(map(str, sends))}"] if sends else []
    return {
        "name": person.name,
        "email": person.email,
        "may": "; ".join(may),
        "codes": f"set up ({enrolled.generation})" if enrolled.generation else "none",
        "locked": codes.lock_of(enrolled, office.clock(), office.settings.company.zone),
    }

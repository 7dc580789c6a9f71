"""The `tieout` command, put together from one module per command."""

from typing import Any

import typer
from typer.core import TyperGroup

from tieout.cli.books import audit, ledger
from tieout.cli.console import notes
from tieout.cli.demo.command import demo
from tieout.cli.deploy import deploy
from tieout.cli.doctor import doctor
from tieout.cli.grid import grid
from tieout.cli.people import people
from tieout.cli.policy import policy
from tieout.cli.preview import preview
from tieout.cli.sandbox import sandbox
from tieout.cli.server import server
from tieout.cli.show import show
from tieout.cli.status import status
from tieout.cli.unmapped import unmapped
from tieout.errors import TieoutError


class _Group(TyperGroup):
    """Tells an error that says who moves next in its own words instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a TieoutError ends it with exit status 1."""
        try:
            return super().invoke(ctx)
        except TieoutError as error:
            notes().print(str(error), style="red", markup=False)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # a traceback must not show what a variable holds
    help="Carry approved subcontractor invoices from Procore into an ERP, and bring the payments back.",
)
for command in (demo, sandbox, deploy, doctor, status, show, preview, unmapped, grid):
    app.command()(command)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(server)
app.add_typer(ledger, name="ledger")
app.add_typer(audit, name="audit")
app.add_typer(people, name="people")
app.add_typer(policy, name="policy")

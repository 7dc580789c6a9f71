"""`python -m tieout.cli`: the command, where its script is not on the path."""

from tieout.cli import app

app()

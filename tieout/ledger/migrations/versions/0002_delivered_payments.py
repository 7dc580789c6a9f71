"""A payment says when it was delivered, as letters and mails do."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Call the column in all three tables the same."""
    op.alter_column("payment", "written_at", new_column_name="delivered_at")

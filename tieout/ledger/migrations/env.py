"""Alembic's entry: run the migrations over the connection that `tieout.ledger.book.upgrade` hands in."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    render_as_batch=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()

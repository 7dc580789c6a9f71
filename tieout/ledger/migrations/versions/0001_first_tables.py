"""The first tables, and triggers that let nobody change or remove what happened (law 1)."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.String(length=27)  # as sortable text, in UTC
_APPEND_ONLY = ("event", "seal", "snapshot", "rules", "judgement", "judged", "finding")


def upgrade() -> None:
    """Make the tables and guard the append-only ones."""
    _create_tables()
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def _guard_sqlite() -> None:
    for table in _APPEND_ONLY:
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuses_{action.lower()} BEFORE {action} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} rows are never changed or removed'); END"
            )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% rows are never changed or removed', TG_TABLE_NAME; END $$"
    )
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _create_tables() -> None:
    op.create_table(
        "enrolment",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("issued", sa.Integer(), server_default="0", nullable=False),
        sa.Column("generation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_step", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("wrong_codes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("locked_until", _INSTANT, nullable=True),
        sa.Column("last_use", sa.String(length=80), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "event",
        sa.Column("event_id", _ID, nullable=False),
        sa.Column("item_id", _ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("before", sa.String(length=16), nullable=True),
        sa.Column("after", sa.String(length=16), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
        sa.UniqueConstraint("item_id", "position", name="one_event_per_position"),
    )
    op.create_table(
        "intent",
        sa.Column("intent_id", _ID, nullable=False),
        sa.Column("item_id", _ID, nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("erp", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("batch_code", sa.String(length=20), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("voucher", sa.Text(), nullable=False),
        sa.Column("payload_hash", sa.String(length=64), nullable=False),
        sa.Column("lease_token", sa.Integer(), nullable=False),
        sa.Column("opened_at", _INSTANT, nullable=False),
        sa.Column("sent_at", _INSTANT, nullable=True),
        sa.Column("absent_at", _INSTANT, nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("outcome_at", _INSTANT, nullable=True),
        sa.Column("evidence", sa.Text(), server_default="", nullable=False),
        sa.Column("is_live", sa.Boolean(), nullable=False),
        sa.Column("change", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("intent_id"),
    )
    op.create_index(
        "amendment_open",
        "intent",
        ["invoice_id"],
        unique=False,
        sqlite_where=sa.text("outcome IS NULL AND NOT is_live"),
        postgresql_where=sa.text("outcome IS NULL AND NOT is_live"),
    )
    op.create_index(op.f("ix_intent_item_id"), "intent", ["item_id"], unique=False)
    is_known = sa.text("outcome_at IS NOT NULL")
    op.create_index("intent_settled", "intent", ["outcome_at"], sqlite_where=is_known, postgresql_where=is_known)
    op.create_index(
        "one_live_link",
        "intent",
        ["company_id", "invoice_id"],
        unique=True,
        sqlite_where=sa.text("is_live"),
        postgresql_where=sa.text("is_live"),
    )
    op.create_table(
        "item",
        sa.Column("item_id", _ID, nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("commitment_id", sa.BigInteger(), nullable=True),
        sa.Column("erp", sa.String(length=40), nullable=False),
        sa.Column("company_erp", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("snapshot_id", _ID, nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("judged_by", sa.String(length=64), server_default="", nullable=False),
        sa.Column("findings", sa.Text(), server_default="[]", nullable=False),
        sa.Column("cause", sa.String(length=60), server_default="", nullable=False),
        sa.Column("number", sa.String(length=200), server_default="", nullable=False),
        sa.Column("vendor", sa.String(length=300), server_default="", nullable=False),
        sa.Column("project", sa.String(length=300), server_default="", nullable=False),
        sa.Column("currency", sa.String(length=3), server_default="USD", nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("released_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("settled_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("to_release_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("vendor_erp", sa.String(length=40), nullable=True),
        sa.Column("number_erp", sa.String(length=60), nullable=True),
        sa.Column("batch_code", sa.String(length=20), nullable=True),
        sa.Column("document_id_erp", sa.String(length=60), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.Column("drift", sa.Text(), server_default="[]", nullable=False),
        sa.Column("acknowledged", sa.String(length=64), server_default="", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_token", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", _INSTANT, nullable=True),
        sa.Column("sent_by", sa.String(length=200), server_default="", nullable=False),
        sa.Column("changed_at", _INSTANT, nullable=False),
        sa.Column("chain_hash", sa.String(length=64), server_default="", nullable=False),
        sa.CheckConstraint(
            "state = 'READY' OR state = 'HELD' OR state = 'NOT_EXPORTABLE' OR state = 'ACCEPTED' "
            "OR state = 'EXPORTING' OR state = 'UNCERTAIN' OR state = 'FAILED' OR state = 'EXPORTED' "
            "OR state = 'POSTED' OR state = 'PART_PAID' OR state = 'PAID' OR state = 'GONE' "
            "OR state = 'REJECTED' OR state = 'RETRIEVED' OR state = 'UNLINKED'",
            name="known_state",
        ),
        sa.PrimaryKeyConstraint("item_id"),
        sa.UniqueConstraint("invoice_id", "company_id", name="one_item_per_invoice"),
    )
    op.create_index("item_by_state", "item", ["state", "item_id", "project_id"], unique=False)
    op.create_index(op.f("ix_item_commitment_id"), "item", ["commitment_id"], unique=False)
    is_open = sa.text("drift <> '[]'")
    op.create_index("open_drift", "item", ["item_id"], sqlite_where=is_open, postgresql_where=is_open)
    is_open = sa.text("to_release_minor <> 0")
    op.create_index("open_release", "item", ["item_id"], sqlite_where=is_open, postgresql_where=is_open)
    is_known = sa.text("number_erp IS NOT NULL")
    op.create_index("item_by_number_erp", "item", ["number_erp"], sqlite_where=is_known, postgresql_where=is_known)
    op.create_table(
        "outbox",
        sa.Column("letter_id", _ID, nullable=False),
        sa.Column("item_id", _ID, nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("put_at", _INSTANT, nullable=False),
        sa.Column("lease_token", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", _INSTANT, nullable=True),
        sa.Column("sent_at", _INSTANT, nullable=True),
        sa.Column("delivered_at", _INSTANT, nullable=True),
        sa.Column("given_up_at", _INSTANT, nullable=True),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("letter_id"),
    )
    op.create_index(op.f("ix_outbox_item_id"), "outbox", ["item_id"], unique=False)
    op.create_index("undelivered", "outbox", ["delivered_at", "given_up_at"], unique=False)
    op.create_table(
        "mail",
        sa.Column("mail_id", _ID, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("item_id", _ID, nullable=True),
        sa.Column("message_id", sa.String(length=200), nullable=False),
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("put_at", _INSTANT, nullable=False),
        sa.Column("lease_token", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", _INSTANT, nullable=True),
        sa.Column("sent_at", _INSTANT, nullable=True),
        sa.Column("delivered_at", _INSTANT, nullable=True),
        sa.Column("given_up_at", _INSTANT, nullable=True),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("mail_id"),
        sa.UniqueConstraint("key", "recipient", name="one_mail_for_each_news"),
    )
    op.create_index(op.f("ix_mail_item_id"), "mail", ["item_id"], unique=False)
    op.create_index("unsent_mail", "mail", ["delivered_at", "given_up_at"], unique=False)
    op.create_table(
        "alarm",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("began_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "payment",
        sa.Column("payment_id", _ID, nullable=False),
        sa.Column("item_id", _ID, nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("origin_id", sa.String(length=120), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("discount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("check_number", sa.String(length=60), nullable=False),
        sa.Column("paid_on", sa.String(length=10), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("opened_at", _INSTANT, nullable=False),
        sa.Column("lease_token", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", _INSTANT, nullable=True),
        sa.Column("sent_at", _INSTANT, nullable=True),
        sa.Column("absent_at", _INSTANT, nullable=True),
        sa.Column("payment_id_procore", sa.BigInteger(), nullable=True),
        sa.Column("written_at", _INSTANT, nullable=True),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("payment_id"),
        sa.UniqueConstraint("origin_id"),
    )
    op.create_index(op.f("ix_payment_item_id"), "payment", ["item_id"], unique=False)
    is_known = sa.text("written_at IS NOT NULL")
    op.create_index("payment_written", "payment", ["written_at"], sqlite_where=is_known, postgresql_where=is_known)
    op.create_table(
        "policy",
        sa.Column("version", _ID, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("since", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "reference",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("read_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "review",
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("offered", sa.Text(), nullable=False),
        sa.Column("opened_at", _INSTANT, nullable=False),
        sa.Column("closed_at", _INSTANT, nullable=True),
        sa.Column("outcome", sa.String(length=30), server_default="", nullable=False),
        sa.Column("decided_by", sa.String(length=200), server_default="", nullable=False),
        sa.Column("decision", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_table(
        "rules",
        sa.Column("version", sa.String(length=16), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("since", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "judgement",
        sa.Column("judgement_id", _ID, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("on_day", sa.String(length=10), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("rules", sa.String(length=16), nullable=False),
        sa.Column("policy", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("judgement_id"),
    )
    op.create_index(op.f("ix_judgement_on_day"), "judgement", ["on_day"], unique=False)
    op.create_table(
        "judged",
        sa.Column("judgement_id", _ID, nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("snapshot_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("judgement_id", "invoice_id", "company_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("judged_invoice", "judged", ["invoice_id"], unique=False)
    op.create_table(
        "finding",
        sa.Column("judgement_id", _ID, nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.String(length=60), nullable=False),
        sa.Column("figure", sa.String(length=60), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.PrimaryKeyConstraint("judgement_id", "invoice_id", "company_id", "rule", "figure"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "seal",
        sa.Column("seal_id", _ID, nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seal_id"),
        sa.UniqueConstraint("previous_hash"),
    )
    op.create_table(
        "sighting",
        sa.Column("company_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("commitment_id", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("snapshot_id", _ID, nullable=True),
        sa.Column("content_hash", sa.String(length=64), server_default="", nullable=False),
        sa.Column("number_key", sa.String(length=260), server_default="", nullable=False),
        sa.Column("is_fresh", sa.Boolean(), nullable=False),
        sa.Column("is_gone", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("number", sa.String(length=200), server_default="", nullable=False),
        sa.Column("vendor", sa.String(length=300), server_default="", nullable=False),
        sa.Column("commitment", sa.String(length=300), server_default="", nullable=False),
        sa.Column("period", sa.String(length=30), server_default="", nullable=False),
        sa.Column("billed_on", sa.String(length=10), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("invoice_id", "company_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_sighting_number_key"), "sighting", ["number_key"], unique=False)
    op.create_index(op.f("ix_sighting_project_id"), "sighting", ["project_id"], unique=False)
    op.create_table(
        "snapshot",
        sa.Column("snapshot_id", _ID, nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("fetched_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("snapshot_id"),
        sa.UniqueConstraint("invoice_id", "company_id", "content_hash", name="one_snapshot_per_content"),
    )
    op.create_table(
        "turn",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=False),
        sa.Column("until", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "watermark",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("reached", _INSTANT, nullable=False),
        sa.Column("moved_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )

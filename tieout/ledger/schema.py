"""The ledger's tables; how they come to be is in `migrations/`."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

from tieout.ledger.states import ALL

metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in an INTEGER key


@lru_cache(maxsize=1_000)  # all rows of a commit bear the same moment
def instant_text(value: datetime) -> str:
    """Return a moment as it is stored; ValueError for one without a zone."""
    if value.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Instant(TypeDecorator[datetime]):
    """A moment in UTC as sortable text, the same in every database."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Refuse moments without a zone: they mean something else on every machine."""
        return None if value is None else instant_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the moment in UTC."""
        return None if value is None else datetime.fromisoformat(value)


snapshot = Table(
    "snapshot",
    metadata,
    Column("snapshot_id", _Id, primary_key=True),
    Column("company_id", BigInteger, nullable=False),
    Column("project_id", BigInteger, nullable=False),
    Column("invoice_id", BigInteger, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("body", Text, nullable=False),  # as it came
    Column("fetched_at", Instant, nullable=False),
    UniqueConstraint("invoice_id", "company_id", "content_hash", name="one_snapshot_per_content"),
)

sighting = Table(  # what Procore showed last of each invoice, sent to the ERP or not
    "sighting",
    metadata,
    Column("company_id", BigInteger, nullable=False),
    Column("invoice_id", BigInteger, nullable=False),
    Column("project_id", BigInteger, nullable=False, index=True),
    Column("commitment_id", BigInteger),
    Column("status", String(40), nullable=False),
    Column("updated_at", Instant, nullable=False),  # Procore's, up to which the snapshot below is known to be true
    Column("snapshot_id", _Id),
    Column("content_hash", String(64), nullable=False, server_default=""),
    Column("number_key", String(260), nullable=False, server_default="", index=True),  # vendor and normalised number
    Column("is_fresh", Boolean, nullable=False),  # not judged yet
    Column("is_gone", Boolean, nullable=False, server_default=text("false")),  # answers 404
    # What a list of invoices shows of one that was never sent; of the others it shows the commitment and the period.
    Column("number", String(200), nullable=False, server_default=""),
    Column("vendor", String(300), nullable=False, server_default=""),
    Column("commitment", String(300), nullable=False, server_default=""),
    Column("period", String(30), nullable=False, server_default=""),
    Column("billed_on", String(10), nullable=False, server_default=""),
    PrimaryKeyConstraint("invoice_id", "company_id"),
    sqlite_with_rowid=False,
)

item = Table(
    "item",
    metadata,
    Column("item_id", _Id, primary_key=True),
    Column("company_id", BigInteger, nullable=False),
    Column("invoice_id", BigInteger, nullable=False),
    Column("project_id", BigInteger, nullable=False),
    Column("commitment_id", BigInteger, index=True),
    Column("erp", String(40), nullable=False),
    Column("company_erp", String(40), nullable=False),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),  # how many events its chain has
    Column("revision", Integer, nullable=False),
    Column("snapshot_id", _Id, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("judged_by", String(64), nullable=False, server_default=""),
    Column("findings", Text, nullable=False, server_default="[]"),
    Column("cause", String(60), nullable=False, server_default=""),
    Column("number", String(200), nullable=False, server_default=""),
    Column("vendor", String(300), nullable=False, server_default=""),
    Column("project", String(300), nullable=False, server_default=""),
    Column("currency", String(3), nullable=False, server_default="USD"),
    Column("gross_minor", BigInteger, nullable=False, server_default="0"),
    Column("held_minor", BigInteger, nullable=False, server_default="0"),
    Column("released_minor", BigInteger, nullable=False, server_default="0"),
    Column("settled_minor", BigInteger, nullable=False, server_default="0"),
    Column("to_release_minor", BigInteger, nullable=False, server_default="0"),  # by hand in the ERP, and not done yet
    Column("vendor_erp", String(40)),
    Column("number_erp", String(60)),
    Column("batch_code", String(20)),
    Column("document_id_erp", String(60)),
    Column("sequence", Integer),
    Column("drift", Text, nullable=False, server_default="[]"),  # open differences between what we sent and now
    Column("acknowledged", String(64), nullable=False, server_default=""),  # the digest of those a person let stand
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease_token", Integer, nullable=False, server_default="0"),
    Column("lease_until", Instant),
    Column("sent_by", String(200), nullable=False, server_default=""),
    Column("changed_at", Instant, nullable=False),
    Column("chain_hash", String(64), nullable=False, server_default=""),
    # The invoice first: this is how rows are found, and one company has them all.
    UniqueConstraint("invoice_id", "company_id", name="one_item_per_invoice"),
    # Each by itself: of a list SQLite would make a table, anew for every row that is written.
    CheckConstraint(" OR ".join(f"state = {each!r}" for each in ALL), name="known_state"),
    # Oldest first, with the project last: an index in which each project had its own place would be changed in as many
    # places by each step of a chunk.
    Index("item_by_state", "state", "item_id", "project_id"),
)


def _index_of_known(name: str, column: Column[Any]) -> Index:
    """Index the rows that have a value there: to find those that have none, nobody asks, and they are many."""
    has_value = column.is_not(None)
    return Index(name, column, sqlite_where=has_value, postgresql_where=has_value)


_index_of_known("item_by_number_erp", item.c.number_erp)  # payments name it

IS_DRIFTED = text("drift <> '[]'")  # a query must say it in these very words, or no database would use the index
Index("open_drift", item.c.item_id, sqlite_where=IS_DRIFTED, postgresql_where=IS_DRIFTED)
IS_TO_RELEASE = text("to_release_minor <> 0")  # likewise
Index("open_release", item.c.item_id, sqlite_where=IS_TO_RELEASE, postgresql_where=IS_TO_RELEASE)

event = Table(
    "event",
    metadata,
    Column("event_id", _Id, primary_key=True),
    Column("item_id", _Id, nullable=False),
    Column("position", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("kind", String(30), nullable=False),
    Column("before", String(16)),
    Column("after", String(16), nullable=False),
    Column("facts", Text, nullable=False),
    Column("changes", Text, nullable=False),  # the item's columns that it changed: all of the item can be told again
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("item_id", "position", name="one_event_per_position"),
)

seal = Table(
    "seal",
    metadata,
    Column("seal_id", _Id, primary_key=True),
    Column("events", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("previous_hash", String(64), nullable=False, unique=True),
    Column("hash", String(64), nullable=False),
)

intent = Table(
    "intent",
    metadata,
    Column("intent_id", _Id, primary_key=True),
    Column("item_id", _Id, nullable=False, index=True),
    Column("company_id", BigInteger, nullable=False),
    Column("invoice_id", BigInteger, nullable=False),
    Column("erp", String(40), nullable=False),
    Column("key", String(40), nullable=False),
    Column("batch_code", String(20), nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("voucher", Text, nullable=False),
    Column("payload_hash", String(64), nullable=False),
    Column("lease_token", Integer, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("sent_at", Instant),  # the last moment at which a request may have left; None: surely never sent
    Column("absent_at", Instant),  # the first of the two looks that must find nothing
    Column("outcome", String(20)),
    Column("outcome_at", Instant),
    Column("evidence", Text, nullable=False, server_default=""),
    Column("is_live", Boolean, nullable=False),
    Column("change", Text, nullable=False, server_default=""),  # of an amendment: what follows when it is taken
)
Index(
    "one_live_link",
    intent.c.company_id,
    intent.c.invoice_id,
    unique=True,
    sqlite_where=text("is_live"),
    postgresql_where=text("is_live"),
)

IS_AMENDING = text("outcome IS NULL AND NOT is_live")  # in these very words, as above
Index("amendment_open", intent.c.invoice_id, sqlite_where=IS_AMENDING, postgresql_where=IS_AMENDING)
_index_of_known("intent_settled", intent.c.outcome_at)  # what came into the ERP since midnight

payment = Table(
    "payment",
    metadata,
    Column("payment_id", _Id, primary_key=True),
    Column("item_id", _Id, nullable=False, index=True),
    Column("project_id", BigInteger, nullable=False),
    Column("origin_id", String(120), nullable=False, unique=True),
    Column("amount_minor", BigInteger, nullable=False),
    Column("discount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("check_number", String(60), nullable=False),
    Column("paid_on", String(10), nullable=False),
    Column("body", Text, nullable=False),  # the exact ProcorePayment that is or will be written
    Column("opened_at", Instant, nullable=False),
    Column("lease_token", Integer, nullable=False, server_default="0"),
    Column("lease_until", Instant),
    Column("sent_at", Instant),  # the last moment at which a request may have left; None: surely never sent
    Column("absent_at", Instant),  # the first of the two looks that must find nothing
    Column("payment_id_procore", BigInteger),
    Column("delivered_at", Instant),
    Column("problem", Text, nullable=False, server_default=""),
)

_index_of_known("payment_written", payment.c.delivered_at)

outbox = Table(
    "outbox",
    metadata,
    Column("letter_id", _Id, primary_key=True),
    Column("item_id", _Id, nullable=False, index=True),
    Column("kind", String(30), nullable=False),
    Column("facts", Text, nullable=False),
    Column("put_at", Instant, nullable=False),
    Column("lease_token", Integer, nullable=False, server_default="0"),
    Column("lease_until", Instant),
    Column("sent_at", Instant),  # when a request left whose answer is not known
    Column("delivered_at", Instant),
    Column("given_up_at", Instant),
    Column("problem", Text, nullable=False, server_default=""),
)
Index("undelivered", outbox.c.delivered_at, outbox.c.given_up_at)

mail = Table(
    "mail",
    metadata,
    Column("mail_id", _Id, primary_key=True),
    Column("key", String(200), nullable=False),  # what it tells of: the same news is put once
    Column("item_id", _Id, index=True),  # none where it is about no single invoice
    Column("message_id", String(200), nullable=False),
    Column("recipient", String(254), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("body", Text, nullable=False),
    Column("put_at", Instant, nullable=False),
    Column("lease_token", Integer, nullable=False, server_default="0"),
    Column("lease_until", Instant),
    Column("sent_at", Instant),  # when it left and no answer is known
    Column("delivered_at", Instant),
    Column("given_up_at", Instant),
    Column("problem", Text, nullable=False, server_default=""),
    UniqueConstraint("key", "recipient", name="one_mail_for_each_news"),
)
Index("unsent_mail", mail.c.delivered_at, mail.c.given_up_at)

alarm = Table(  # what rings, so that its beginning and its end are told once
    "alarm",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("began_at", Instant, nullable=False),
)

# Quality as data: what came of each time that invoices were judged. Rows are added, never changed. An invoice that was
# judged and has no finding of a rule that there was has kept that rule.
rules = Table(
    "rules",
    metadata,
    Column("version", String(16), primary_key=True),
    Column("body", Text, nullable=False),  # how severe each of them is, by its id
    Column("since", Instant, nullable=False),
)

judgement = Table(  # of invoices that were judged together
    "judgement",
    metadata,
    Column("judgement_id", _Id, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("on_day", String(10), nullable=False, index=True),  # in the company's time zone
    Column("actor", String(200), nullable=False),
    Column("rules", String(16), nullable=False),
    Column("policy", Integer, nullable=False),
)

judged = Table(
    "judged",
    metadata,
    Column("judgement_id", _Id, nullable=False),
    Column("invoice_id", BigInteger, nullable=False),
    Column("company_id", BigInteger, nullable=False),
    Column("snapshot_id", _Id, nullable=False),
    PrimaryKeyConstraint("judgement_id", "invoice_id", "company_id"),
    sqlite_with_rowid=False,
)

Index("judged_invoice", judged.c.invoice_id)

finding = Table(
    "finding",
    metadata,
    Column("judgement_id", _Id, nullable=False),
    Column("invoice_id", BigInteger, nullable=False),
    Column("company_id", BigInteger, nullable=False),
    Column("rule", String(60), nullable=False),
    Column("figure", String(60), nullable=False),
    Column("severity", String(10), nullable=False),
    PrimaryKeyConstraint("judgement_id", "invoice_id", "company_id", "rule", "figure"),
    sqlite_with_rowid=False,
)

review = Table(
    "review",
    metadata,
    Column("run_id", String(40), primary_key=True),
    Column("project_id", BigInteger, nullable=False),
    Column("offered", Text, nullable=False),  # [[invoice id, content hash], ...] in the order shown
    Column("opened_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("outcome", String(30), nullable=False, server_default=""),
    Column("decided_by", String(200), nullable=False, server_default=""),
    Column("decision", Text, nullable=False, server_default=""),
)

enrolment = Table(  # of people's authenticator apps; what their secrets are derived from is nowhere here
    "enrolment",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("issued", Integer, nullable=False, server_default="0"),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("last_step", BigInteger, nullable=False, server_default="0"),
    Column("wrong_codes", Integer, nullable=False, server_default="0"),
    Column("locked_until", Instant),
    Column("last_use", String(80), nullable=False, server_default=""),
)

watermark = Table(
    "watermark",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("reached", Instant, nullable=False),
    Column("moved_at", Instant, nullable=False),
)

turn = Table(  # whose turn it is to run a job of which one at a time is enough
    "turn",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("until", Instant, nullable=False),
)

reference = Table(
    "reference",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("body", Text, nullable=False),
    Column("read_at", Instant, nullable=False),
)

policy = Table(
    "policy",
    metadata,
    Column("version", _Id, primary_key=True),
    Column("body", Text, nullable=False),
    Column("since", Instant, nullable=False),
)

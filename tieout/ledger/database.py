"""The ledger's database: how it is opened, upgraded, copied, and how a query reads it."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine, Select, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, InternalError, OperationalError

from tieout.errors import SettingsError, TransientError
from tieout.progress import Progress, unseen

Reader: TypeAlias = Connection  # an open connection that reads one consistent state
READING = "reading"
# The size of a page, of a new database only: a commit writes whole pages, and costs least with these. Then 64 MiB of
# pages in memory, and a log that is emptied each 32 MiB.
_PAGE, _LARGE = "page_size=8192", ("cache_size=-65536", "wal_autocheckpoint=4000")
_INSTRUCTIONS = 10_000  # of SQLite's own, between two looks at how far a copy is: some milliseconds
VARIABLES = 500  # bound variables per IN list; databases have a limit
_LONGEST = 2**63 - 1  # the largest number that a column of ids holds


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the ledger's tables to the newest version; safe to call at every start."""
    database = make_url(url)
    if database.get_backend_name() == "sqlite" and database.database:
        Path(database.database).parent.mkdir(parents=True, exist_ok=True)
    from alembic import command  # a run that only works with the tables is spared the time that this takes
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = open_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def copy_to(url: str, file: Path, progress: Progress = unseen) -> None:
    """Write a SQLite ledger's present state into a new file; others may go on writing meanwhile.

    `progress` counts bytes, of as many as the ledger takes now.
    Raises SettingsError for PostgreSQL, whose own `pg_dump` does it, and when the file is there.
    """
    engine = open_engine(url)
    if engine.dialect.name != "sqlite":
        raise SettingsError("Ledger", "a copy", "PostgreSQL is copied by its own pg_dump; see docs/deployment.md")
    if file.exists():
        raise SettingsError("Ledger", "a copy", f"{file} is there already")
    with in_plain_words(), closing(engine.raw_connection()) as connection:  # for it is refused in a transaction
        _tell_copied(connection.driver_connection, file, progress)
        connection.cursor().execute("VACUUM INTO ?", (str(file),))
    engine.dispose()


def _tell_copied(connection: Any, file: Path, progress: Progress) -> None:
    """Have SQLite tell now and then how much of the copy is written."""
    [whole] = connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()

    def tell() -> int:
        progress(min(file.stat().st_size, whole) if file.exists() else 0, whole)
        return 0  # go on

    connection.set_progress_handler(tell, _INSTRUCTIONS)


def to_change(connection: Connection, query: Select[Any], skip_locked: bool = False) -> Select[Any]:
    """Return the query so that in a transaction PostgreSQL locks what it finds; what is read only stays unlocked."""
    if connection.get_execution_options().get(READING):
        return query
    return query.with_for_update(skip_locked=skip_locked)  # SQLite takes its one lock when a transaction begins


@contextmanager
def in_plain_words() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, InternalError) as error:
        words = str(error.orig).strip().split("\n")[0]  # the rest is the statement and its values
        raise TransientError("Ledger", "its database", words) from None


def open_engine(url: str) -> Engine:
    try:
        is_file = make_url(url).get_backend_name() == "sqlite"
        by_position = "qmark" if is_file else "format"  # see `writes`
        # A server that was started again is no step's failure; and what is in a row stays out of messages and logs.
        engine = create_engine(url, paramstyle=by_position, pool_pre_ping=not is_file, hide_parameters=True)
    except (ArgumentError, ImportError) as error:  # the URL may hold a password and is not repeated
        raise SettingsError("Ledger", "its database", f"the URL is not usable ({type(error).__name__})") from None
    if is_file:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    for pragma in (_PAGE, "journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON", *_LARGE):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: a read that later turns into a write could not be retried by SQLite.
    reading = connection.get_execution_options().get(READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


Any_ = TypeVar("Any_")


def fits(value: object) -> bool:
    """Whether a column can hold this value; a number that is too large for it is nobody's id."""
    return not isinstance(value, int) or abs(value) <= _LONGEST


def in_pieces(values: Iterable[Any_], size: int = VARIABLES) -> Iterator[list[Any_]]:
    """Cut the values into lists of at most `size`."""
    piece: list[Any_] = []
    for value in values:
        piece.append(value)
        if len(piece) == size:
            yield piece
            piece = []
    if piece:
        yield piece

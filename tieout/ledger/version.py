"""Tell whether the ledger's tables are there and of this release, without touching them."""

from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from tieout.errors import SettingsError


def require_current(url: str) -> None:
    """Raise SettingsError, which says what to do, unless the ledger can be opened as it is."""
    try:
        database = make_url(url)
        if database.get_backend_name() == "sqlite" and not (database.database and Path(database.database).is_file()):
            raise SettingsError("Ledger", "its database", "there is none yet; run `tieout ledger upgrade`")
        engine = create_engine(database)
        with engine.connect() as connection:
            there = MigrationContext.configure(connection).get_current_revision()
        engine.dispose()
    except (SQLAlchemyError, ImportError) as error:  # the URL may hold a password: neither it nor the words are shown
        words = f"it cannot be opened ({type(error).__name__}); check TIEOUT_LEDGER__URL"
        raise SettingsError("Ledger", "its database", words) from None
    script = Config()
    script.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    wanted = ScriptDirectory.from_config(script).get_current_head()
    if there != wanted:
        words = f"its tables are of version {there or 'none'}, this release needs {wanted}; run `tieout ledger upgrade`"
        raise SettingsError("Ledger", "its database", words)

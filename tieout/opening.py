"""Open what a step works with, from the settings: the ledger, Procore, the ERP."""

from collections.abc import Iterator
from contextlib import contextmanager

from tieout import settings
from tieout.connectors.base import ERP
from tieout.connectors.base import open_erp as connect
from tieout.connectors.procore import Procore
from tieout.connectors.smtp import Mailer
from tieout.ledger.book import Ledger


def open_ledger() -> Ledger:
    """Return the company's ledger."""
    return Ledger(settings.ledger_url())


@contextmanager
def open_erp() -> Iterator[ERP]:
    """Open the connector of the company's ERP and close it afterwards."""
    erp = connect(settings.company().erp)
    try:
        yield erp
    finally:
        erp.close()


@contextmanager
def open_procore() -> Iterator[Procore]:
    """Open the Procore connector and close it afterwards."""
    procore = Procore.from_settings()
    try:
        yield procore
    finally:
        procore.close()


@contextmanager
def open_mailer() -> Iterator[Mailer]:
    """Open the mail connector, which connects when there is something to send, and close it afterwards."""
    mailer = Mailer(settings.mail())
    try:
        yield mailer
    finally:
        mailer.close()

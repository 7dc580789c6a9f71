"""Open what a step works with, from the settings: the ledger, Procore, the ERP."""

from collections.abc import Iterator
from contextlib import contextmanager

from tieout.connectors.base import ERP
from tieout.connectors.base import open_erp as connect
from tieout.connectors.procore import Procore
from tieout.connectors.smtp import Mailer
from tieout.ledger.book import Ledger
from tieout.office import Office


def open_ledger(office: Office) -> Ledger:
    """Return the company's ledger."""
    return Ledger(office.settings.ledger_url)


@contextmanager
def open_erp(office: Office) -> Iterator[ERP]:
    """Open the connector of the company's ERP and close it afterwards."""
    erp = connect(office.settings.company.erp, office.settings)
    try:
        yield erp
    finally:
        erp.close()


@contextmanager
def open_procore(office: Office) -> Iterator[Procore]:
    """Open the Procore connector and close it afterwards."""
    procore = Procore.from_settings(office.settings)
    try:
        yield procore
    finally:
        procore.close()


@contextmanager
def open_mailer(office: Office) -> Iterator[Mailer]:
    """Open the mail connector, which connects when there is something to send, and close it afterwards."""
    mailer = Mailer(office.settings.mail)
    try:
        yield mailer
    finally:
        mailer.close()

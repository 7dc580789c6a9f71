"""The landing page is refreshed at the end of every run."""

from prefect.client.orchestration import SyncPrefectClient

from tasks import _prefect
from tasks._run import open_office
from tieout.ledger.book import Ledger
from tieout.views import today


def refresh(ledger: Ledger, client: SyncPrefectClient) -> None:
    """Write the page anew under its key: its address stays."""
    office = open_office()
    ids = {name: str(_prefect.deployment_id(client, name)) for name in (today.ITEMS, today.REVIEWS, today.NIGHT)}
    screen = today.Screen(office.settings.prefect.ui_url, ids, _prefect.next_start(client, ids[today.NIGHT]))
    page = today.gather(ledger, screen, office)
    _prefect.show(client, today.KEY, page.markdown(), page.in_short())

"""The landing page is refreshed at the end of every run."""

from prefect.client.orchestration import SyncPrefectClient

from tasks import _prefect
from tieout import settings
from tieout.clock import now
from tieout.ledger.book import Ledger
from tieout.views import today


def refresh(ledger: Ledger, client: SyncPrefectClient) -> None:
    """Write the page anew under its key: its address stays."""
    ids = {name: str(_prefect.deployment_id(client, name)) for name in (today.ITEMS, today.REVIEWS, today.NIGHT)}
    screen = today.Screen(settings.prefect_section().ui_url, ids, _prefect.next_start(client, ids[today.NIGHT]))
    page = today.gather(ledger, screen, now)
    _prefect.show(client, today.KEY, page.markdown(), page.in_short())

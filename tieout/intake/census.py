"""Count what may be sent in Procore and in the ledger, and say where the two do not agree."""

from tieout.connectors.procore import Procore
from tieout.errors import RefusedError
from tieout.intake.invoices import whole_listing
from tieout.ledger import census, watermarks
from tieout.ledger.book import Ledger
from tieout.ledger.census import Census
from tieout.ledger.references import known_projects, project_name
from tieout.office import Office


def take_census(ledger: Ledger, procore: Procore, project_id: int, office: Office) -> str | None:
    """Count what may be sent in Procore and in the ledger; return a sentence when the two do not agree.

    While they do, this costs one request. Where they do not, the next fetch reads the project's whole listing; what
    that does not put right is an alarm. A project that refuses us is told of by `fetch_changed`.
    """
    with ledger.reading() as connection:
        known, read_at = (
            census.count_sendable(connection, project_id),
            watermarks.moved_at(connection, whole_listing(project_id)),
        )
    try:
        in_procore = procore.count_sendable(project_id)
        listed = procore.sendable_invoices(project_id) if in_procore != known else set()
    except RefusedError:
        return None
    name, now = project_name(known_projects(ledger, [project_id]), project_id), office.clock()
    taken = Census(project_id=project_id, project=name, in_procore=in_procore, in_ledger=known, at=now, since=now)
    with ledger.transaction(now, "intake") as tx:
        if in_procore != known:
            taken = census.compare(tx.connection, taken, listed, read_at)
        census.store(tx, taken)
    return f"{taken.words}; the next run reads the whole list of the project" if taken.differing else None

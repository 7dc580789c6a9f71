"""Whether the three books agree after the demo: ledger, ERP's database, Procore's payments; and what Prefect shows."""

from collections import Counter
from decimal import Decimal

from tieout.cli.demo.cast import Cast, Row
from tieout.cli.demo.screen import Screen
from tieout.connectors.base import invoice_key
from tieout.ledger import audit, states
from tieout.ledger.book import Ledger
from tieout.ledger.items import Item
from tieout.views.standing import FAILING


def find_problems(ledger: Ledger, people: Cast, screen: Screen) -> list[str]:
    """Return everything that does not agree, a sentence each."""
    rows = people.erp_invoices()
    return [
        *_in_erp(ledger, rows),
        *_payments(rows, people.payments_issued()),
        *_shown(ledger, screen),
        *audit.verify(ledger),
    ]


def _in_erp(ledger: Ledger, rows: list[Row]) -> list[str]:
    """The ERP holds exactly the exported invoices, to the cent, in the batch that we say."""
    ours = {_key(item): item for item in ledger.items(state=states.IN_ERP)}
    theirs = Counter(row["Remarks"].strip() for row in rows)
    problems = [f"invoice {ours[key].number} is not in the ERP" for key in ours.keys() - theirs.keys()]
    problems += [f"the ERP holds {key}, which was not exported" for key in theirs.keys() - ours.keys()]
    problems += [f"the ERP holds {key} {count} times" for key, count in theirs.items() if count > 1]
    for row in rows:
        item = ours.get(row["Remarks"].strip())
        if item is not None and _figures(row) != (item.gross, item.held, item.batch_code):
            problems.append(f"invoice {item.number} differs: {_figures(row)} in the ERP")
    return problems


def _payments(rows: list[Row], issued: list[Row]) -> list[str]:
    """Payments Issued adds up to what each invoice was paid in the ERP, voids taken off again."""
    paid = {(row["Invoice_Number"].strip(), Decimal(row["paid"])) for row in rows if Decimal(row["paid"])}
    sums: dict[str, Decimal] = {}
    for payment in issued:
        number = payment["invoice_number"]
        sums[number] = sums.get(number, Decimal(0)) + Decimal(payment["amount"])
    shown = {(number, amount) for number, amount in sums.items() if amount}
    return [f"Payments Issued and the ERP differ: {sorted(map(str, shown ^ paid))}"] if shown != paid else []


def _shown(ledger: Ledger, screen: Screen) -> list[str]:
    """Prefect shows as many failing items as the ledger has."""
    problems = []
    for state, name in FAILING.items():
        wanted = len(ledger.items(state=state))
        shown = len(screen.runs("export-invoice", state={"name": {"any_": [name]}}))
        if wanted != shown:
            problems.append(f"Prefect shows {shown} items as {name}, the ledger has {wanted}")
    return problems


def _key(item: Item) -> str:
    return invoice_key(item.company_id, item.invoice_id)


def _figures(row: Row) -> tuple[Decimal, Decimal, str]:
    return Decimal(row["Invoice_Amount"]), Decimal(row["Retention_Amount"]), row["Batch_Code"].strip()

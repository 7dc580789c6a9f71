"""Random histories of one commitment, billed month after month by book-keeping in cents of its own.

Work, stored materials in manual and auto-move mode, corrections, change orders, sliding retainage and releases.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from builders import a_line, a_summary, an_invoice

from data_contracts.invoice import Invoice, InvoiceLine


def amount(cents: int) -> Decimal:
    return Decimal(cents) / 100


@dataclass
class Account:
    """What one line of the schedule of values has come to so far, in cents."""

    number: int
    scheduled: int
    change_order: int | None = None
    work: int = 0
    stored: int = 0
    held_on_work: int = 0
    held_on_stored: int = 0
    figures: dict[str, Any] = field(default_factory=dict)

    def bill(self, random: Random, rate: int, moves: bool, tells: bool) -> InvoiceLine:
        """Bill one month; `tells` is whether Procore's view says what the line started from."""
        total, stored, held = self.work + self.stored, self.stored, self.held_on_stored
        moved, held_moved = (self.stored, self.held_on_stored) if moves else (0, 0)
        self.work += moved
        self.held_on_work += held_moved
        self.stored -= moved
        self.held_on_stored -= held_moved
        before, held_before = self.work, self.held_on_work
        work = self._month(random)
        retained = max(-self.held_on_work, (work * rate) // 1000) if self.scheduled > 0 else 0
        self.work += work
        self.held_on_work += retained
        kept, self.held_on_stored = self.held_on_stored, (self.stored * rate) // 1000
        let_go = random.choice((0, 0, kept - self.held_on_stored)) if kept > self.held_on_stored else 0
        released = random.choice((0, 0, 0, self.held_on_work // 2)) if self.scheduled > 0 else 0
        self.held_on_work -= released
        figures = {
            "work_before": before,
            "work_this_period": work,
            "stored_now": self.stored,
            "moved": moved,
            "completed_to_date": self.work + self.stored,
            "work_retainage_before": held_before,
            "work_retained": retained,
            "work_released": released,
            "stored_retainage_now": self.held_on_stored,
            "stored_released": let_go,
            "retainage_moved": held_moved,
        }
        if tells:
            figures |= {"stored_before": stored, "completed_before": total, "stored_retainage_before": held}
        return a_line(
            line_id_procore=self.number,
            commitment_line_id_procore=self.number,
            kind="change_order_item" if self.change_order else "contract_item",
            change_order_id_procore=self.change_order,
            scheduled_value=amount(self.scheduled),
            **{name: amount(cents) for name, cents in figures.items()},
        )

    def _month(self, random: Random) -> int:
        """Do some work and move some materials; return the work in cents."""
        if self.scheduled <= 0:
            return random.choice((0, self.scheduled // 2)) if not self.work else 0
        work = random.choice((0, random.randrange(self.scheduled // 5 + 1), -(self.work // 5)))
        if self.stored and random.random() < 0.5:
            used = random.randrange(self.stored + 1)
            self.stored -= used
            work += used
        if random.random() < 0.4:
            self.stored += random.randrange(self.scheduled // 10 + 1)
        return work


def a_history(random: Random) -> list[Invoice]:
    """Return a commitment's invoices, oldest first; every one of them ties out."""
    moves, months = random.random() < 0.5, random.randrange(1, 5)
    accounts = [Account(number, random.randrange(10_000, 90_000_000)) for number in range(1, random.randrange(2, 5))]
    history: list[Invoice] = []
    for month in range(months):
        if month and random.random() < 0.4:
            value = random.choice((1, 1, -1)) * random.randrange(100, 5_000_000)
            accounts.append(Account(len(accounts) + 1, value, change_order=3))
        rate, tells = random.choice((0, 50, 75, 100)), random.random() < 0.6
        lines = tuple(account.bill(random, rate, moves, tells) for account in accounts)
        history.append(_invoice(lines, month, history[-1] if history else None))
    return history


def _invoice(lines: tuple[InvoiceLine, ...], month: int, before: Invoice | None) -> Invoice:
    certified = before.summary.earned_less_retainage if before else Decimal(0)
    return an_invoice(
        lines=lines,
        summary=a_summary(lines, certified),
        invoice_id_procore=1000 + month,
        previous_invoice_id_procore=before.invoice_id_procore if before else None,
        number_on_commitment=month + 1,
        invoice_number=f"INV-{month + 1}",
        kind="progress_and_retainage_release" if any(line.released for line in lines) else "progress",
    )

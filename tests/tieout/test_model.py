"""The ledger against a simple model of it: random stories of several people and workers, compared after each step.

The model knows what may follow what, who is too late, and what becomes of an invoice; the ledger does the same with the
engine's own operations, on a real database, and must agree. The ERP of these stories takes whatever arrives, twice as
well: that it never holds two is the ledger's doing alone.
"""

import itertools
import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from builders import a_line, a_reference, an_invoice, an_office
from desk import APPROVER, PEOPLE, SettableClock
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from ledgers import ON_BOTH_DATABASES, Ledgers
from model import ALLOWED, EVENTS, FOUND, IN_ERP, NOTES, REQUEST, SETTLES, STATES, AnyERP, Shown, Told, judged, stage
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from data_contracts.forms import ADOPT, DISOWN, SettleAnswer
from data_contracts.voucher import Created, ErpInvoice, Payment, Refused, Voucher, VoucherLine
from tieout.connectors.base import invoice_key, parse_key
from tieout.decisions import acknowledge_drift, settle, unlink
from tieout.errors import RefusedError
from tieout.export import look, observation
from tieout.export.look import Found
from tieout.export.outcome import (
    lose,
    release,
    release_expired,
    revive_transient,
    settle_answer,
    settle_found,
    settle_uncertain,
)
from tieout.judgement import placement
from tieout.judgement.basis import Basis
from tieout.judgement.coding import Codes
from tieout.judgement.placement import Reading
from tieout.ledger import audit, sightings, states
from tieout.ledger.book import Ledger, LostRaceError, Transaction
from tieout.ledger.claims import free, still_ours
from tieout.ledger.digests import digest_of
from tieout.ledger.intents import Intent, close_intent, live_intents, mark_sent, open_intent, take_up
from tieout.ledger.items import Item
from tieout.ledger.letters import unlock
from tieout.ledger.sightings import Sighting
from tieout.ledger.states import is_allowed
from tieout.office import Office
from tieout.payments import collection
from tieout.people.rights import Signature
from tieout.settings import Policy

SIGNED = Signature(APPROVER)
COMPANY, PROJECT, LEASE = 4, 41, timedelta(minutes=5)
INVOICES, ACTORS = (100, 101, 102), ("one", "two")

ACCOUNTING = ("post", "post", "pay", "pay", "void check", "void", "delete", "edit")
SHOWN = ("approved", "approved", "approved", "approved", "draft")
FATES = ("created", "created", "refused", "lost after", "lost before", "late", "unreachable")


@dataclass
class Worker:
    """What a worker has in hand, and how far it got: claimed, looked, sent."""

    stage: str = "idle"
    intents: list[Intent] = field(default_factory=list)
    fate: str = ""
    answers: list[Created] = field(default_factory=list)


class Died(Exception):
    """The process is gone before its transaction ended."""


Moves = list[tuple[int, str, str]]  # invoice, event, state after it
RARELY, OFTEN = (False, False, False, False, False, True), (True, True, True, False)
WHO = {"actor": ACTORS, "invoice_id": INVOICES}
# How often each step is taken, and with what: one of each is chosen.
STEPS: dict[str, tuple[int, dict[str, Sequence[Any]]]] = {
    "judge": (
        2,
        {
            **WHO,
            "found": ("READY",) * 4 + ("HELD", "NOT_EXPORTABLE"),
            "asked": (True, False),
            "looks": OFTEN,
            "dies": RARELY,
        },
    ),
    "decide": (3, {**WHO, "after": ("ACCEPTED",) * 4 + ("REJECTED", "RETRIEVED"), "looks": OFTEN, "dies": RARELY}),
    "work": (4, {"actor": ACTORS, "fate": FATES, "most": (1, 3), "steps": (1, 2, 5), "dies": RARELY}),
    "night": (3, {"seconds": (1, 31, 121, 331), "most": (1, 3, 5, 5)}),
    "accounting": (3, {"what": ACCOUNTING, "which": (0, 1, 2), "amount": ("1.00", "2000.00")}),
    "procore_shows": (1, {"invoice_id": INVOICES, "content": (1, 1, 2), "status": SHOWN, "is_gone": RARELY}),
    "a_late_request_arrives": (1, {}),
    "a_person_has_the_last_word": (1, {"invoice_id": INVOICES, "word": (ADOPT, DISOWN, "stands")}),
    "somebody_does_what_may_not_be": (1, {**WHO, "event": EVENTS, "after": STATES}),
}


class Story(RuleBasedStateMachine):
    """Several people and workers go on in any order, with what they know of the invoices, which may be old."""

    ledgers: Ledgers

    def __init__(self) -> None:
        super().__init__()
        self.url = self.ledgers.new_ledger()
        self.ledger, self.clock, self.erp = Ledger(self.url), SettableClock(), AnyERP()
        self.told = {each: Told() for each in INVOICES}
        self.shown: dict[int, Shown] = {}
        self.known: dict[str, dict[int, Item]] = {actor: {} for actor in ACTORS}  # as each actor read them last
        self.workers = {actor: Worker() for actor in ACTORS}
        self.events_read = self.steps = 0
        self.basis = Basis(
            policy=Policy(),
            policy_version=1,
            zone=ZoneInfo("America/New_York"),
            erp="spectrum",
            capabilities=self.erp.capabilities,
            codes=Codes(a_reference()),
            vendors=(),
            rows=(),
            common_print="",
            prints={PROJECT: "terms"},
        )
        for invoice_id in INVOICES:
            self.procore_shows(invoice_id, 1, "approved", False)

    @initialize(chance=st.randoms(use_true_random=True))
    def begins(self, chance: Random) -> None:
        """Bring each invoice so far: not sent, ready, accepted, claimed, sent and answered or not."""
        self.chance = chance
        how_far, fates = chance.sample(range(5), 3), chance.choices(FATES, k=3)
        for invoice_id, far, fate in zip(INVOICES, how_far, fates, strict=False):
            if far > 0:
                self.judge("one", invoice_id, "READY", False, True, False)
            if far > 1:
                self.decide("one", invoice_id, "ACCEPTED", True, False)
            if far > 2:
                self.work("one", fate, 1, 1 if far == 3 else 5, True)

    @rule()
    def goes_on(self) -> None:
        """One rule for all steps, by chance alone: hypothesis likes to tell the same story many times."""
        chance = self.chance
        self.clock.advance(seconds=1)
        [step] = chance.choices(list(STEPS), [often for often, _ in STEPS.values()])
        how = {name: chance.choice(values) for name, values in STEPS[step][1].items()}
        note(f"{step}({', '.join(f'{name}={value!r}' for name, value in how.items())})")
        getattr(self, step)(**how)

    @property
    def office(self) -> Office:
        return an_office(self.clock)

    def teardown(self) -> None:
        assert audit.verify(self.ledger) == []
        self.ledger.engine.dispose()
        self.ledgers.drop(self.url)

    # What Procore, the ERP, the clock and memory do.

    def procore_shows(self, invoice_id: int, content: int, status: str, is_gone: bool) -> None:
        body = f"{invoice_id}: {content}"
        line = a_line(work_this_period=f"{content}000.00", completed_to_date=f"{content}000.00", work_retained="0.00")
        invoice = an_invoice(invoice_id_procore=invoice_id, invoice_number=f"INV-{invoice_id}", lines=(line,))
        with self.ledger.transaction(self.clock(), "intake") as tx:
            seen = {"company_id": COMPANY, "project_id": PROJECT, "invoice_id": invoice_id, "body": body}
            snapshot_id = sightings.store_snapshot(tx, seen | {"content_hash": digest_of(body)})
            sighting = Sighting(
                COMPANY, invoice_id, PROJECT, 77, status, self.clock(), snapshot_id, digest_of(body), "", True, is_gone
            )
            sightings.store_sighting(tx, sighting)
        self.shown[invoice_id] = Shown(sighting, invoice, body)

    def a_late_request_arrives(self) -> None:
        if self.erp.under_way:
            self.erp.take(self.erp.under_way.pop(0)[0])

    def accounting(self, what: str, which: int, amount: str) -> None:
        if not self.erp.documents:
            return
        document = self.erp.documents[which % len(self.erp.documents)]
        key, invoice_id = document.key or "", (parse_key(document.key or "") or (0, 0))[1]
        told = self.told[invoice_id]
        paid = [each for each in self.erp.paid if each.invoice_number == document.invoice_number and not each.is_void]
        if what == "post":
            self.erp.change(key, state="posted")
        elif what == "edit":
            self.erp.change(key, retention=Decimal("5.00"))
        elif what == "pay" and document.state == "posted" and told.state in IN_ERP:
            payment = self._payment(document, amount)
            self.erp.paid.append(payment)
            told.settled += int(payment.amount * 100)
            self._collect()
        elif what == "void check" and paid and told.state in IN_ERP:
            self.erp.paid.remove(paid[0])
            self.erp.paid.append(paid[0].model_copy(update={"is_void": True, "changed_at": self.clock()}))
            told.settled -= int(paid[0].amount * 100)
            self._collect()
        elif what == "void" and not told.settled:
            self.erp.change(key, state="void")
        elif what == "delete" and not told.settled:
            self.erp.documents.remove(document)

    def _collect(self) -> None:
        collection.collect(self.ledger, self.erp, self.office)
        self._follow()

    def _payment(self, document: ErpInvoice, amount: str) -> Payment:
        number = f"A{len(self.erp.paid)} {self.clock():%d %H%M%S}"
        return Payment(
            application_id_erp=number,
            company_erp=document.company_erp,
            vendor_erp=document.vendor_erp,
            invoice_number=document.invoice_number,
            check_number=number,
            paid_on=self.clock().date(),
            amount=Decimal(amount),
            discount=Decimal(0),
            currency="USD",
            changed_at=self.clock(),
        )

    # What people do, each with the invoice as it was when they read it.

    def judge(self, actor: str, invoice_id: int, found: str, asked: bool, looks: bool, dies: bool) -> None:
        if looks:
            self._read(actor)
        item, shown = self.known[actor].get(invoice_id), self.shown[invoice_id]
        reading = Reading(shown.sighting, item, shown.invoice, FOUND[found], digest_of(shown.body))
        planned = judged(item, shown, found, asked)
        done = self._do(
            actor, invoice_id, planned, lambda tx: placement.place(tx, self.basis, "Riverside", reading, asked), dies
        )
        if done and planned and planned[0] in ("sent", "changed", "judged again"):
            was_ready = item is not None and item.state == "READY" and item.content_hash == shown.sighting.content_hash
            self.told[invoice_id].revision += found == "READY" and not was_ready
            self.told[invoice_id].content = shown.sighting.content_hash

    def decide(self, actor: str, invoice_id: int, after: str, looks: bool, dies: bool) -> None:
        if looks:
            self._read(actor)

        def act(tx: Transaction) -> None:
            moved = tx.move(self.known[actor][invoice_id], after.lower(), after, {"reason": "so"})
            if after != "ACCEPTED":
                unlock(tx, moved)

        if invoice_id in self.known[actor]:
            self._do(actor, invoice_id, (after.lower(), after), act, dies)

    def somebody_does_what_may_not_be(self, actor: str, invoice_id: int, event: str, after: str) -> None:
        item = self.known[actor].get(invoice_id)
        if item and ((item.state, event, after) not in ALLOWED or self._is_late(actor, invoice_id)):
            self._do(actor, invoice_id, (event, after), lambda tx: tx.move(item, event, after, {}))

    def a_person_has_the_last_word(self, invoice_id: int, word: str) -> None:
        told = self.told[invoice_id]
        if told.state == "UNCERTAIN" and word != "stands":
            self._settle_uncertain()
            doubt = settle.examine(self.ledger, self.erp, COMPANY, invoice_id, self.office)
            answer = SettleAnswer(decided_by=APPROVER, decision=word, reason="looked")
            if doubt and not settle.decide(self.ledger, doubt, answer, SIGNED, "run", self.office):
                self._follow((invoice_id, *(("adopted", "EXPORTED") if word == ADOPT else ("disowned", "FAILED"))))
        elif word == "stands":
            with suppress(RefusedError):
                acknowledge_drift.acknowledge(self.ledger, COMPANY, invoice_id, SIGNED, "it is meant so", self.office)
            self._follow()
        else:
            may = told.state == "GONE" and not told.settled
            with nullcontext() if may else pytest.raises(RefusedError):
                unlink.unlink(self.ledger, COMPANY, invoice_id, SIGNED, "it is gone", "run", self.office)
            self._follow(*([(invoice_id, "unlinked", "UNLINKED")] if may else []))

    # What workers do, step by step; between two steps others may go on.

    def work(self, actor: str, fate: str, most: int, steps: int, dies: bool) -> None:
        for _ in range(steps):
            worker = self.workers[actor]
            if worker.stage == "idle":
                self._claim(actor, most)
            elif worker.stage == "claimed":
                self._look_first(actor, worker)
            elif worker.stage == "looked":
                self._send(actor, worker, fate)
            else:
                self._read_the_answer(actor, worker)
        if dies:
            self.workers[actor] = Worker()

    def _claim(self, actor: str, most: int) -> None:
        """Commit to what will be written before anything is; what may have been sent before stays as it was."""
        entered = [item.invoice_id for item in self.ledger.items()]
        expected = [each for each in entered if self._may_be_claimed(each)][:most]
        intents = []
        with self.ledger.transaction(self.clock(), actor) as tx:
            items = free(tx, lambda _: self.basis.prints, most, None)
            live = live_intents(tx.connection, items)
            for item in items:
                intent = live.get(item.item_id)
                if intent and intent.sent_at and intent.content_hash == item.content_hash:
                    intents.append(take_up(tx, intent, LEASE))
                    continue
                if intent:
                    close_intent(tx, item, "not sent", "", is_live=False)
                intents.append(open_intent(tx, item, self._voucher(item), {}, LEASE))
        for each in expected:
            self.told[each].token += 1
            self.told[each].is_linked = True
        self.workers[actor] = Worker("claimed" if intents else "idle", intents)
        self._follow(*((each, "claimed", "EXPORTING") for each in expected))

    def _look_first(self, actor: str, worker: Worker) -> None:
        found, moves = look.look(self.erp, worker.intents), Moves()
        with self.ledger.transaction(self.clock(), actor) as tx:
            for intent in self._still(tx, [each for each in worker.intents if each.voucher.key in found]):
                settle_found(tx, intent, found)
                moves.append(self._found(intent))
        worker.intents = [intent for intent in worker.intents if intent.voucher.key not in found]
        worker.stage = "looked" if worker.intents else "idle"
        self._follow(*moves)

    def _send(self, actor: str, worker: Worker, fate: str) -> None:
        """The request leaves; what the ERP says of it is read later."""
        worker.stage, worker.fate = "sent", "unreachable"
        if self.clock() + REQUEST >= min(intent.item.lease_until or self.clock() for intent in worker.intents):
            return
        with self.ledger.transaction(self.clock(), actor) as tx:
            worker.intents = self._still(tx, worker.intents)
            mark_sent(tx, worker.intents, tx.now)
        worker.fate, vouchers = fate, [intent.voucher for intent in worker.intents]
        if fate == "late":
            self.erp.under_way += [(each, self.clock() + REQUEST) for each in vouchers]
        elif fate in ("created", "lost after"):
            worker.answers = [self.erp.take(each) for each in vouchers]

    def _read_the_answer(self, actor: str, worker: Worker) -> None:
        self.workers[actor], found = Worker(), look.look(self.erp, worker.intents)
        with self.ledger.transaction(self.clock(), actor) as tx:
            moves = [self._settle(tx, intent, worker, found) for intent in self._still(tx, worker.intents)]
        self._follow(*moves)

    def _settle(self, tx: Transaction, intent: Intent, worker: Worker, found: Found) -> tuple[int, str, str]:
        """Settle one as the exporter does; return what the design says becomes of it."""
        invoice_id, told = intent.item.invoice_id, self.told[intent.item.invoice_id]
        if worker.fate == "unreachable":
            is_last = intent.item.attempts == 3 and intent.sent_at is None
            if intent.sent_at is None:
                mark_sent(tx, [intent], None)
            release(tx, intent, self.office.settings.export.attempts)
            told.is_linked = not is_last
            return invoice_id, "released", "FAILED" if is_last else "ACCEPTED"
        if worker.fate == "created":
            settle_answer(tx, intent, worker.answers[worker.intents.index(intent)])
            return invoice_id, "created", "EXPORTED"
        is_shown = intent.voucher.key in found
        if worker.fate == "refused" and not (is_shown and intent.sent_at):
            settle_answer(tx, intent, Refused(key=intent.voucher.key, reasons=("no",)))
            told.is_linked = False
            return invoice_id, "refused", "FAILED"
        if is_shown:
            settle_found(tx, replace(intent, sent_at=tx.now), found)
        else:
            lose(tx, intent, "reset", has_looked=True)
        return self._found(replace(intent, sent_at=tx.now))

    def _found(self, intent: Intent) -> tuple[int, str, str]:
        """Return what follows from what the ERP shows under the key."""
        invoice_id, there = intent.item.invoice_id, self.erp.there(intent.voucher.key)
        if len(there) == 1 and there[0].equals(intent.voucher):
            return invoice_id, "found", "EXPORTED"
        if intent.sent_at is None and all(each.state == "void" for each in there):  # its number is taken
            self.told[invoice_id].is_linked = False
            return invoice_id, "refused", "FAILED"
        return invoice_id, "answer lost", "UNCERTAIN"

    # What every night does.

    def night(self, seconds: int, most: int) -> None:
        self.clock.advance(seconds=seconds)
        self.erp.under_way = [(each, until) for each, until in self.erp.under_way if until > self.clock()]
        for step in (self._take_over, self._settle_uncertain, self._revive, self._observe, self._collect)[:most]:
            step()

    def _take_over(self) -> None:
        moves = Moves()
        for intent, item in self._intents("EXPORTING"):
            if item.lease_until is None or item.lease_until + REQUEST <= self.clock():
                was_sent = intent is not None and intent.sent_at is not None
                moves.append(
                    (item.invoice_id, *(("answer lost", "UNCERTAIN") if was_sent else ("released", "ACCEPTED")))
                )
        release_expired(self.ledger, self.erp, self.office)
        self._follow(*moves)

    def _settle_uncertain(self) -> None:
        moves = Moves()
        for intent, item in self._intents("UNCERTAIN"):
            there = self.erp.there(intent.voucher.key)
            if len(there) == 1 and there[0].equals(intent.voucher):
                moves.append((item.invoice_id, "found", "EXPORTED"))
            elif not there and intent.absent_at and self.clock() - intent.absent_at >= SETTLES:
                moves.append((item.invoice_id, "absent twice", "ACCEPTED"))
        settle_uncertain(self.ledger, self.erp, self.office)
        self._follow(*moves)

    def _observe(self) -> None:
        moves = Moves()
        for intent, item in self._intents("GONE", *IN_ERP):
            there = [each for each in self.erp.there(intent.voucher.key) if each.state != "void"]
            after = item.state
            if there:
                after = stage(there[0].state == "posted", item.settled_minor, item.gross_minor - item.held_minor)
            elif intent.absent_at and self.clock() - intent.absent_at >= SETTLES:
                after = "GONE"
            if after != item.state:
                moves.append((item.invoice_id, "observed", after))
        observation.observe(self.ledger, self.erp, self.office)
        self._follow(*moves)

    def _revive(self) -> None:
        failed = [item.invoice_id for item in self.ledger.items(state="FAILED", cause="transient")]
        revive_transient(self.ledger, self.office)
        self._follow(*((each, "retried", "ACCEPTED") for each in failed))

    # What holds after every step.

    @invariant()
    def the_ledger_says_what_the_model_says(self) -> None:
        items = {item.invoice_id: item for item in self.ledger.items()}
        for invoice_id, item in items.items():
            told = self.told[invoice_id]
            said = (item.state, item.revision, item.lease_token, item.content_hash, item.settled_minor)
            assert said == (told.state, told.revision, told.token, told.content, told.settled)
        assert set(items) == {each for each, told in self.told.items() if told.state != "-"}

    @invariant()
    def each_invoice_has_one_link_at_most_and_where_it_needs_one(self) -> None:
        live = sorted(invoice_id for (invoice_id,) in self._rows("SELECT invoice_id FROM intent WHERE is_live"))
        assert live == [each for each, told in self.told.items() if told.is_linked]
        assert {each for each, told in self.told.items() if told.state in ("UNCERTAIN", "GONE", *IN_ERP)} <= set(live)

    @invariant()
    def the_erp_holds_none_twice(self) -> None:
        keys = [each.key for each in self.erp.documents if each.state != "void"]
        assert len(keys) == len(set(keys))

    @invariant()
    def a_letter_is_put_in_the_commit_of_what_happened(self) -> None:
        assert not self._rows("SELECT item_id, put_at FROM outbox EXCEPT SELECT item_id, at FROM event")

    @invariant()
    def the_events_tell_all(self) -> None:
        self.steps += 1
        if self.steps % 10 == 0:
            assert audit.verify(self.ledger) == []

    # How the two are compared.

    def _read(self, actor: str) -> None:
        self.known[actor] = {item.invoice_id: item for item in self.ledger.items()}

    def _do(
        self,
        actor: str,
        invoice_id: int,
        planned: tuple[str, str] | None,
        act: Callable[[Transaction], Any],
        dies: bool = False,
    ) -> bool:
        """Let an actor act on what it knows: it happens, or may not be, or somebody was faster, as the model says."""
        item, before, outcome = self.known[actor].get(invoice_id), self._all_counted(), "done"
        expected = "Died" if dies else "done"
        if planned and (item.state if item else "-", *planned) not in ALLOWED:
            expected = "ValueError"
        elif planned and self._is_late(actor, invoice_id):
            expected = "LostRaceError" if item else "IntegrityError"
        try:
            with self.ledger.transaction(self.clock(), actor) as tx:
                act(tx)
                tx.flush()
                if dies:
                    raise Died
        except (ValueError, LostRaceError, IntegrityError, Died) as error:
            outcome = type(error).__name__
        assert outcome == expected
        if outcome != "done":
            assert self._all_counted() == before
            return False
        self._follow(*([(invoice_id, *planned)] if planned else []))
        self.known[actor] |= {each.invoice_id: each for each in self.ledger.items(invoice_id=invoice_id)}
        return True

    def _is_late(self, actor: str, invoice_id: int) -> bool:
        known, now = self.known[actor].get(invoice_id), self.ledger.items(invoice_id=invoice_id)
        return bool(now) and (known.version if known else 0) != now[0].version

    def _follow(self, *moves: tuple[int, str, str]) -> None:
        """Read what happened: exactly these moves, each of them allowed, beside notes that move nothing."""
        happened = self._rows(
            'SELECT event_id, invoice_id, kind, "before", "after" FROM event JOIN item USING (item_id)'
            f" WHERE event_id > {self.events_read} ORDER BY event_id"
        )
        for each in happened:
            told, self.events_read = self.told[each.invoice_id], each.event_id
            assert (each.before or "-") == told.state
            assert (told.state, each.kind, each.after) in ALLOWED
            told.state = each.after
            told.is_linked = told.is_linked and each.kind not in ("unlinked", "disowned")
        moved = [(each.invoice_id, each.kind, each.after) for each in happened if each.kind not in NOTES]
        assert sorted(moved) == sorted(moves)

    def _all_counted(self) -> Any:
        """Return what no two states of the ledger have in common."""
        counts = ("max(event_id) FROM event", "sum(version) FROM item", "count(*) FROM outbox", "count(*) FROM intent")
        return self._rows(f"SELECT {', '.join(f'(SELECT {each})' for each in counts)}")

    def _rows(self, query: str) -> list[Any]:
        with self.ledger.reading() as connection:
            return list(connection.execute(text(query)).all())

    def _intents(self, *wanted: str) -> list[Any]:
        items = self.ledger.items(state=wanted)
        with self.ledger.reading() as connection:
            live = live_intents(connection, items)
        return [(live.get(item.item_id), item) for item in items]

    def _may_be_claimed(self, invoice_id: int) -> bool:
        told, shown = self.told[invoice_id], self.shown[invoice_id]
        return told.state == "ACCEPTED" and shown.may_be_sent and told.content == shown.sighting.content_hash

    def _still(self, tx: Transaction, intents: Sequence[Intent]) -> list[Intent]:
        """Leave out what was taken over from us; the model knows what that is."""
        ours = still_ours(tx, [intent.item for intent in intents])
        told = {intent.item.item_id: self.told[intent.item.invoice_id] for intent in intents}
        tokens = {intent.item.item_id: intent.item.lease_token for intent in intents}
        assert ours == {each for each in told if (told[each].state, told[each].token) == ("EXPORTING", tokens[each])}
        return [intent for intent in intents if intent.item.item_id in ours]

    def _voucher(self, item: Item) -> Voucher:
        line = VoucherLine(line_id_procore=1, job="J", phase="P", cost_type="S", amount=item.gross)
        return Voucher(
            key=invoice_key(COMPANY, item.invoice_id),
            company_erp=item.company_erp,
            vendor_erp="V",
            contract_erp="C",
            invoice_number=item.number,
            invoice_on=self.clock().date(),
            accounting_on=self.clock().date(),
            batch_code=f"{self.clock():%Y%m%d}",
            currency="USD",
            gross=item.gross,
            retention=item.held,
            lines=(line,),
        )


def test_nothing_may_follow_but_what_the_design_lists():
    words = {word for word in vars(states).values() if isinstance(word, str)}
    steps = itertools.product((None, *states.ALL), words, states.ALL)

    assert {
        (before or "-", event, after) for before, event, after in steps if is_allowed(before, event, after)
    } == ALLOWED


@ON_BOTH_DATABASES
def test_the_ledger_does_what_the_model_does(ledgers: Ledgers, database: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TIEOUT_APPROVAL__PROOF", "name")
    monkeypatch.setenv("TIEOUT_PEOPLE", json.dumps(PEOPLE))
    stories = {"sqlite": 25, "postgresql": 5}[database]
    few = settings(max_examples=stories, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(type("Told", (Story,), {"ledgers": ledgers}), settings=few)

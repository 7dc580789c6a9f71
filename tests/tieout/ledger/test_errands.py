"""What is owed outside is one worker's at a time, as a whole."""

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta

from desk import AFTER_A_NIGHT, Desk
from ledgers import ON_BOTH_DATABASES

from tieout.ledger import errands, letters

LEASE, DEADLINE = timedelta(minutes=5), timedelta(minutes=1)


@AFTER_A_NIGHT
@ON_BOTH_DATABASES
def test_a_newer_letter_is_not_taken_from_whoever_is_about_to_send_the_older_one(desk: Desk):
    item = desk.items()[0]

    def take() -> list[letters.Owed]:
        with desk.ledger.transaction(desk.clock(), "test") as tx:
            return letters.claim(tx, [item.item_id], LEASE, DEADLINE)

    with desk.ledger.transaction(desk.clock(), "test") as tx:
        letters.unlock(tx, item)
    [ours] = take()
    with desk.ledger.transaction(desk.clock(), "test") as tx:
        letters.lock(tx, item)
    with ThreadPoolExecutor(1) as pool:
        with desk.ledger.transaction(desk.clock(), "test") as marking:
            assert errands.mark_sent(marking, ours, LEASE)
            other = pool.submit(take)
            wait([other], timeout=0.5)  # until it waits for us
        assert other.result() == []
    desk.clock.now += LEASE + DEADLINE
    [theirs] = take()

    assert (theirs.body.origin[0] is not None, len(theirs.row_ids)) == (True, 2)
    with desk.ledger.transaction(desk.clock(), "test") as tx:
        assert not errands.mark_delivered(tx, ours)
        assert errands.mark_delivered(tx, theirs)

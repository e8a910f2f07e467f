import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.domain.desk import ID, TOKEN, Desk, settled, until
from tests.support.clock import FrozenClock
from tests.support.interposed import Interposed

from runtara_domain.error import DatabaseError, NoAnswer
from runtara_domain.held_sleeps import CLAIM, PATIENCE, RENEWAL, RETRY
from runtara_domain.sessions import Session
from runtara_domain.status import SignalType, State
from runtara_persistence.memory.persistence import MemoryPersistence

HOUR = 3600


@pytest.fixture
def steps(persistence: MemoryPersistence) -> Interposed:
    return Interposed(persistence)


@pytest.fixture
async def session(desk: Desk, steps: Interposed) -> AsyncIterator[Session]:
    """Give a session of an instance whose sleeps' steps are interposed, and nothing left after."""
    desk.sleep_on(steps.port)
    async with desk.at_work():
        yield await desk.registered()
        await settled()
    assert (desk.waits.held, desk.held.held) == (0, 0)


async def leave(session: Session, *sleeps: "asyncio.Task[None]") -> None:
    """Let the connection go, and see every sleep on it end without an answer."""
    session.close()
    for one in await asyncio.gather(*sleeps, return_exceptions=True):
        assert isinstance(one, NoAnswer)


async def test_a_claim_of_which_the_answer_was_lost_is_given_back(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    """Otherwise it would be renewed for as long as others sleep, and never woken."""
    await desk.register(session, "i-2")
    other = await desk.asleep(session, instance_id="i-2", seconds=HOUR)
    steps.unanswered.add("sleep")
    with pytest.raises(DatabaseError):
        await desk.sleep(session)
    assert desk.claimed_by() == TOKEN

    clock.advance(RENEWAL)
    await settled()

    assert (desk.state(), desk.claimed_by()) == (State.ASLEEP, None)
    await leave(session, other)


async def test_a_sleep_the_database_does_not_end_is_answered_so_and_its_claim_given_back(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    sleep = await desk.asleep(session)
    steps.failing.add("wake")
    clock.advance(timedelta(seconds=60))
    with pytest.raises(DatabaseError):
        await sleep

    clock.advance(RENEWAL)
    await settled()

    assert (desk.state(), desk.claimed_by()) == (State.ASLEEP, None)


async def test_a_sleep_rechecked_while_the_database_fails_sleeps_on_and_rechecks(
    desk: Desk,
    session: Session,
    steps: Interposed,
    clock: FrozenClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It rechecks every second and logs once: the sleep may last for years."""
    sleep = await desk.asleep(session, seconds=HOUR)
    steps.failing.add("pending")
    desk.put_signal(SignalType.CANCEL)
    desk.waits.recheck([ID])
    for _ in range(3):
        await settled()
        clock.advance(RETRY)
    await settled()
    assert (sleep.done(), desk.state(), steps.calls["pending"]) == (False, State.ASLEEP, 5)
    assert ["not read" in record.message for record in caplog.records] == [True]

    steps.failing.clear()
    clock.advance(RETRY)

    await sleep
    assert desk.state() is State.RUNNING


async def test_a_sleep_that_cannot_look_is_left_at_once(
    desk: Desk, session: Session, steps: Interposed
) -> None:
    """Its connection has gone."""
    sleep = await desk.asleep(session, seconds=HOUR)
    steps.failing.add("pending")
    desk.waits.recheck([ID])
    await settled()

    await leave(session, sleep)

    assert (desk.state(), desk.claimed_by()) == (State.ASLEEP, None)


async def test_a_claim_another_step_holds_up_is_renewed_a_second_later(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    """It is renewed by itself. Its sleep looks once, and sleeps on."""
    await desk.register(session, "i-2")
    sleeps = [await desk.asleep(session, instance_id=each, seconds=HOUR) for each in (ID, "i-2")]
    steps.held_up.add(ID)
    steps.calls.clear()
    clock.advance(RENEWAL)
    await settled()
    for _ in range(3):
        clock.advance(RETRY)
        await settled()
    assert steps.calls == {"renew": 4, "pending": 1}
    assert desk.store.instances["i-2"].wake_claim_until == clock.now() - 3 * RETRY + CLAIM

    steps.held_up.clear()
    clock.advance(RETRY)
    await settled()

    assert desk.row.wake_claim_until == clock.now() + CLAIM
    assert not any(sleep.done() for sleep in sleeps)
    await leave(session, *sleeps)


async def test_a_sleep_whose_row_is_held_for_long_looks_once_a_round(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    """It may have been superseded meanwhile."""
    sleep = await desk.asleep(session, seconds=HOUR)
    steps.held_up.add(ID)
    steps.calls.clear()

    for _ in range(30 * RENEWAL // RETRY):
        clock.advance(RETRY)
        await settled()

    assert steps.calls["pending"] == 30
    steps.held_up.clear()
    await leave(session, sleep)


async def test_a_claim_another_step_holds_up_is_given_back_a_second_later(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    sleep = await desk.asleep(session, seconds=HOUR)
    steps.held_up.add(ID)
    await leave(session, sleep)
    assert desk.claimed_by() == TOKEN

    steps.held_up.clear()
    clock.advance(RETRY)
    await settled()

    assert desk.claimed_by() is None


async def test_a_sleep_repeated_after_a_failure_keeps_its_claim(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    steps.unanswered.add("sleep")
    with pytest.raises(DatabaseError):
        await desk.sleep(session, seconds=HOUR)
    steps.unanswered.clear()
    again = await desk.asleep(session, seconds=HOUR)

    clock.advance(RENEWAL)
    await settled()

    assert desk.claimed_by() == TOKEN
    await leave(session, again)


async def test_a_sleep_that_takes_long_to_begin_holds_up_no_other_claim(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    """This holds although the claim of its own instance must be released."""
    await desk.register(session, "i-2")
    other = await desk.asleep(session, instance_id="i-2", seconds=HOUR)
    steps.unanswered.add("sleep")
    with pytest.raises(DatabaseError):
        await desk.sleep(session)
    steps.gates["sleep"] = asyncio.Event()
    slow = asyncio.create_task(desk.sleep(session))
    await settled()

    for _ in range(RENEWAL // RETRY):
        clock.advance(RETRY)
        await settled()

    assert desk.store.instances["i-2"].wake_claim_until == clock.now() + CLAIM
    assert not slow.done()
    steps.gates["sleep"].set()
    with pytest.raises(DatabaseError):
        await slow
    await leave(session, other)


async def test_a_sleep_waits_so_long_at_most_for_others_to_begin(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    """The number of sleeps of its instance doesn't matter. Later ones have their turn."""
    steps.gates["sleep"] = asyncio.Event()
    slow, *waiting = (asyncio.create_task(desk.sleep(session, f"nap-{n}")) for n in range(3))
    await settled()

    clock.advance(PATIENCE)
    await settled()

    for each in waiting:
        with pytest.raises(DatabaseError, match="have not begun after 10 s"):
            await each
    steps.gates.pop("sleep").set()
    later = await desk.asleep(session, "later", seconds=HOUR)
    clock.advance(timedelta(seconds=60))
    await slow
    await leave(session, later)


async def test_a_claim_the_database_does_not_take_back_is_offered_again(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    sleep = await desk.asleep(session)
    steps.failing.add("release")
    await leave(session, sleep)
    clock.advance(RENEWAL)
    await settled()
    assert desk.claimed_by() == TOKEN

    steps.failing.clear()
    clock.advance(RENEWAL)
    await settled()

    assert desk.claimed_by() is None


@pytest.mark.parametrize("iterations", range(10))
async def test_a_caller_cancelled_at_any_moment_leaves_no_claim(
    desk: Desk, session: Session, clock: FrozenClock, iterations: int
) -> None:
    sleep = asyncio.create_task(desk.sleep(session))
    for _ in range(iterations):
        await asyncio.sleep(0)

    sleep.cancel()
    await asyncio.wait([sleep])
    await desk.held.release_dropped()

    assert sleep.cancelled()
    assert desk.claimed_by() is None
    assert (desk.waits.held, desk.held.held) == (0, 0)


async def test_a_release_that_is_cancelled_is_made_up_for(
    desk: Desk, session: Session, steps: Interposed
) -> None:
    sleep = await desk.asleep(session)
    steps.gates["release"] = asyncio.Event()
    session.close()
    await until(lambda: steps.calls["release"] == 1)
    sleep.cancel()
    await asyncio.wait([sleep])
    assert desk.claimed_by() == TOKEN

    steps.gates["release"].set()
    await desk.held.release_dropped()

    assert desk.claimed_by() is None


async def test_a_renewal_that_fails_is_made_again(
    desk: Desk,
    session: Session,
    steps: Interposed,
    clock: FrozenClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sleep = await desk.asleep(session, seconds=HOUR)
    steps.failing.add("renew")
    clock.advance(RENEWAL)
    await settled()
    assert ["not renewed" in record.message for record in caplog.records] == [True]

    steps.failing.clear()
    clock.advance(RENEWAL)
    await settled()

    assert desk.row.wake_claim_until == clock.now() + CLAIM
    assert not sleep.done()
    await leave(session, sleep)

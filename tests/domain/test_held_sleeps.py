import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.domain.desk import ID, TOKEN, Desk, settled, until
from tests.support.clock import FrozenClock
from tests.support.interposed import Interposed

from runtara_domain.error import NoAnswer
from runtara_domain.held_sleeps import CLAIM, RENEWAL
from runtara_domain.model import Caller, Claim, Signal
from runtara_domain.sessions import Session
from runtara_domain.status import OPEN, SignalType, State
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


async def test_a_claim_is_renewed_for_as_long_as_its_sleep_is_held(
    desk: Desk, session: Session, clock: FrozenClock
) -> None:
    sleep = await desk.asleep(session, seconds=HOUR)

    for _ in range(12):
        clock.advance(RENEWAL)
        await settled()
        assert desk.row.wake_claim_until == clock.now() + CLAIM
        assert desk.claimed_by() == TOKEN

    await leave(session, sleep)


async def test_all_claims_are_renewed_in_one_statement(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    sleeps = [await desk.asleep(session, f"nap-{number}", HOUR) for number in range(20)]
    steps.calls.clear()

    clock.advance(RENEWAL)
    await settled()

    assert steps.calls == {"renew": 1}
    await leave(session, *sleeps)


async def test_without_a_sleep_nothing_is_asked(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    await leave(session, await desk.asleep(session))
    clock.advance(RENEWAL)
    await settled()
    steps.calls.clear()

    for _ in range(10):
        clock.advance(RENEWAL)
        await settled()

    assert steps.calls == {}


async def test_of_several_sleeps_only_the_last_gives_the_claim_back(
    desk: Desk, session: Session, steps: Interposed
) -> None:
    other = await desk.registered()
    await desk.register(other, continue_run=2)
    session.bind(ID, 2)
    one, two = await desk.asleep(session, "one"), await desk.asleep(other, "two")

    await leave(session, one)
    assert desk.claimed_by() == TOKEN
    await leave(other, two)

    assert desk.claimed_by() is None
    assert steps.calls["release"] == 1


async def test_an_old_connection_that_goes_leaves_the_new_ones_claim(
    desk: Desk, session: Session, steps: Interposed
) -> None:
    """A client that has reconnected sleeps on while the server notices that the old one is gone."""
    old = await desk.asleep(session)
    new_session = desk.session()
    await desk.register(new_session, continue_run=1)
    steps.replies["sleep"] = asyncio.Event()
    new = asyncio.create_task(desk.sleep(new_session))
    await until(lambda: steps.calls["sleep"] == 2)
    await settled()

    session.close()
    await settled()
    steps.replies["sleep"].set()

    with pytest.raises(NoAnswer):
        await old
    await settled()
    assert desk.claimed_by() == TOKEN
    await leave(new_session, new)


async def test_a_stirred_sleeper_is_not_asked_about_by_itself(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    """It has no claim, as it should be; the one statement tells how all stand."""
    sleep = await desk.asleep(session, seconds=HOUR)
    await desk.save(session, "work", b"")
    steps.calls.clear()

    clock.advance(RENEWAL)
    await settled()

    assert steps.calls == {"renew": 1}
    await leave(session, sleep)


async def test_a_claim_lost_to_the_environment_is_taken_again_once_that_is_over(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    """This server's claim had run out; the next owner was killed before it launched."""
    sleep = await desk.asleep(session, seconds=HOUR)
    desk.row.claim(Claim("environment", clock.now() + CLAIM))
    steps.calls.clear()
    holders = []

    for _ in range(4):
        clock.advance(RENEWAL)
        await settled()
        holders.append(desk.claimed_by())

    assert holders == ["environment", "environment", TOKEN, TOKEN]
    assert steps.calls == {"renew": 4}
    await leave(session, sleep)


async def test_claims_lost_in_an_outage_are_taken_again_in_one_statement(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    """They ran out meanwhile."""
    await desk.register(session, "i-2")
    sleeps = [await desk.asleep(session, instance_id=each, seconds=HOUR) for each in (ID, "i-2")]
    steps.failing.add("renew")
    for _ in range(4):
        clock.advance(RENEWAL)
        await settled()
    assert not desk.row.is_claimed(clock.now())
    steps.failing.clear()
    steps.calls.clear()

    clock.advance(RENEWAL)
    await settled()

    rows = desk.store.instances.values()
    assert [row.wake_claim_until for row in rows] == [clock.now() + CLAIM] * 2
    assert steps.calls == {"renew": 1}
    await leave(session, *sleeps)


async def test_a_sleep_left_while_claims_are_renewed_is_unclaimed_all_the_same(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    """The renewal may reach the database after the release, and would claim an unheld sleep."""
    sleep = await desk.asleep(session, seconds=HOUR)
    steps.gates["renew"] = asyncio.Event()
    clock.advance(RENEWAL)
    await until(lambda: steps.calls["renew"] == 1)
    await leave(session, sleep)

    steps.gates["renew"].set()
    await settled()

    assert (desk.state(), desk.claimed_by()) == (State.ASLEEP, None)


async def test_a_row_that_sleeps_longer_than_a_sleep_that_is_held_is_hastened(
    desk: Desk, session: Session, clock: FrozenClock
) -> None:
    """Another server that knew nothing of it may have put the instance to sleep."""
    sleep = await desk.asleep(session, seconds=60)
    deadline = desk.row.sleep_until
    desk.row.sleep_until = clock.now() + timedelta(hours=1)

    clock.advance(RENEWAL)
    await settled()

    assert desk.row.sleep_until == deadline
    await leave(session, sleep)


async def test_a_cancel_finds_a_sleeper_whose_claim_is_lost(
    desk: Desk, session: Session, persistence: MemoryPersistence, clock: FrozenClock
) -> None:
    sleep = await desk.asleep(session, seconds=HOUR)
    desk.row.claim(Claim("environment", clock.now() + CLAIM))
    await persistence.signals.send(ID, Signal(SignalType.CANCEL), when=OPEN, at=clock.now())
    await settled()
    assert not sleep.done()

    clock.advance(CLAIM)

    await sleep
    assert desk.state() is State.RUNNING


async def test_only_one_sleep_of_an_instance_begins_at_a_time(
    desk: Desk, session: Session, steps: Interposed, clock: FrozenClock
) -> None:
    """Each knows the deadlines of those before it, or the row would have a later one."""
    steps.replies["sleep"] = asyncio.Event()
    sleeps = [
        asyncio.create_task(desk.sleep(session, f"nap-{seconds}", seconds, keep_running=True))
        for seconds in (30, 20)
    ]
    sleeps.append(asyncio.create_task(desk.sleep(session, "nap", 40)))
    await settled()
    assert steps.calls["sleep"] == 1

    steps.replies["sleep"].set()
    await until(lambda: desk.state() is State.ASLEEP)

    assert desk.row.sleep_until == clock.now() + timedelta(seconds=20)
    clock.advance(timedelta(seconds=40))
    await asyncio.gather(*sleeps)


async def test_sleeps_of_different_instances_begin_together(
    desk: Desk, session: Session, steps: Interposed
) -> None:
    await desk.register(session, "i-2")
    steps.replies["sleep"] = asyncio.Event()

    sleeps = [asyncio.create_task(desk.sleep(session, instance_id=each)) for each in (ID, "i-2")]
    await settled()

    assert steps.calls["sleep"] == 2
    steps.replies["sleep"].set()
    await leave(session, *sleeps)


async def test_a_deadline_that_has_passed_is_no_more_to_be_slept_until(
    desk: Desk, clock: FrozenClock
) -> None:
    """Its sleep is being answered; with it the row would be due under those that go on."""
    first, second = (clock.now() + each * RENEWAL for each in (1, 2))
    with desk.held.hold(Caller(ID), first), desk.held.hold(Caller(ID), second):
        earliest = []
        for _ in range(3):
            earliest.append(desk.held.earliest(ID))
            clock.advance(RENEWAL)

    assert earliest == [first, second, None]

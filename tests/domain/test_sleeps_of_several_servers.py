"""Sleeps of one instance that several servers hold: as if one of them held all."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from tests.domain.desk import ID, TOKEN, Desk, settled
from tests.support.clock import FrozenClock

from runtara_domain.error import InstanceSuperseded, NoAnswer
from runtara_domain.held_sleeps import CLAIM, RENEWAL
from runtara_domain.model import Claim, Registration, Signal
from runtara_domain.sessions import Session
from runtara_domain.status import OPEN, SignalType, State
from runtara_persistence.memory.persistence import MemoryPersistence

OTHER = "core/another-server"
ENVIRONMENT = "environment"
SECOND = timedelta(seconds=1)


class House:
    """Two servers, each with a session of the same run of the instance."""

    def __init__(self, persistence: MemoryPersistence, clock: FrozenClock, desk: Desk) -> None:
        self.persistence = persistence
        self.clock = clock
        self.desks = [desk, Desk(persistence, clock, token=OTHER)]
        self.work = [AsyncExitStack(), AsyncExitStack()]

    async def open(self) -> None:
        for desk, work in zip(self.desks, self.work, strict=True):
            await work.enter_async_context(desk.at_work())
        first = await self.desks[0].registered()
        second = self.desks[1].session()
        await self.desks[1].register(second, continue_run=1)
        self.sessions: list[Session] = [first, second]

    async def due(self) -> int:
        """Claim what is due, as an environment does; tell how much that is."""
        claim = Claim(ENVIRONMENT, self.clock.now() + CLAIM)
        return len(await self.persistence.claims.claim_due(claim, limit=9, at=self.clock.now()))

    async def pass_time(self, seconds: float) -> None:
        """Let time pass by the second, and see that no environment ever gets the instance."""
        for _ in range(int(seconds)):
            self.clock.advance(SECOND)
            await settled()
            assert await self.due() == 0


@pytest.fixture
async def house(
    persistence: MemoryPersistence, clock: FrozenClock, desk: Desk
) -> AsyncIterator[House]:
    house = House(persistence, clock, desk)
    await house.open()
    async with house.work[0], house.work[1]:
        yield house
        await settled()
    assert [(each.waits.held, each.held.held) for each in house.desks] == [(0, 0)] * 2


@pytest.mark.parametrize("seconds", [(30, 50), (50, 30), (5, 70), (70, 5), (40, 40)])
@pytest.mark.parametrize("keep_running", [False, True])
async def test_each_is_answered_at_its_own_time(
    house: House, seconds: tuple[int, int], keep_running: bool
) -> None:
    """The order of arrival and the owner of the claim don't matter."""
    one = await house.desks[0].asleep(house.sessions[0], "one", seconds[0])
    two = await house.desks[1].asleep(
        house.sessions[1], "two", seconds[1], keep_running=keep_running
    )
    shorter, longer = (one, two) if seconds[0] <= seconds[1] else (two, one)

    await house.pass_time(min(seconds) - 1)
    assert not shorter.done()
    await house.pass_time(1)
    assert (shorter.done(), house.desks[0].state()) == (True, State.RUNNING)
    await house.pass_time(max(seconds) - min(seconds))

    assert longer.done()
    await one
    await two


async def test_a_sleep_is_on_time_though_another_server_sleeps_the_row_for_longer(
    house: House,
) -> None:
    """A branch stirred it in between, so the other server knows nothing of the shorter one."""
    one = await house.desks[0].asleep(house.sessions[0], "one", 5)
    await house.desks[0].save(house.sessions[0], "work", b"")
    two = await house.desks[1].asleep(house.sessions[1], "two", 80)

    await house.pass_time(5)

    await one
    assert not two.done()
    await house.pass_time(75)
    await two


async def test_a_cancel_ends_both_at_once(house: House) -> None:
    sleeps = [
        await desk.asleep(session, name, seconds)
        for desk, session, name, seconds in zip(
            house.desks, house.sessions, ("one", "two"), (50, 30), strict=True
        )
    ]

    await house.persistence.signals.send(
        ID, Signal(SignalType.CANCEL), when=OPEN, at=house.clock.now()
    )
    await settled()

    assert [sleep.done() for sleep in sleeps] == [True, True]


@pytest.mark.parametrize("killed_after", [1, 9, 11, 15])
@pytest.mark.parametrize("seconds", [(90, 20), (90, 40), (20, 90)])
async def test_the_claim_of_a_server_that_is_gone_is_taken_over_before_it_ends(
    house: House, seconds: tuple[int, int], killed_after: int
) -> None:
    """This holds also if that server's sleep is over: the row is due, and not launched anew."""
    mine = await house.desks[0].asleep(house.sessions[0], "mine", seconds[0])
    await house.pass_time(3)  # They don't renew at the same time.
    lost = await house.desks[1].asleep(house.sessions[1], "lost", seconds[1])
    await house.pass_time(killed_after)
    await house.work[1].aclose()
    lost.cancel()
    assert house.desks[0].claimed_by() == OTHER

    await house.pass_time(seconds[0] - killed_after - 4)
    assert not mine.done()
    await house.pass_time(1)

    await mine


async def test_a_server_whose_sleep_is_left_is_followed_by_the_other(house: House) -> None:
    """This takes at most the interval of renewals."""
    mine = await house.desks[0].asleep(house.sessions[0], "mine", 60)
    left = await house.desks[1].asleep(house.sessions[1], "left", 50)
    assert house.desks[0].claimed_by() == OTHER

    house.sessions[1].close()
    with pytest.raises(NoAnswer):
        await left
    house.clock.advance(RENEWAL)
    await settled()

    assert house.desks[0].claimed_by() == TOKEN
    await house.pass_time(50)
    await mine


async def test_a_server_that_notices_late_leaves_the_claim_of_the_one_its_client_went_to(
    house: House,
) -> None:
    old = await house.desks[0].asleep(house.sessions[0], "nap", 60)
    new = await house.desks[1].asleep(house.sessions[1], "nap", 60)
    await house.pass_time(15)

    house.sessions[0].close()
    with pytest.raises(NoAnswer):
        await old

    assert house.desks[0].claimed_by() == OTHER
    await house.pass_time(45)
    await new


async def test_a_sleep_leaves_the_claim_of_an_environment_alone(house: House) -> None:
    """The environment launches the instance anew. Then the waiting sleep is answered."""
    desk, clock = house.desks[0], house.clock
    abandoned = await desk.asleep(house.sessions[0], "one", 5)
    house.sessions[0].close()
    with pytest.raises(NoAnswer):
        await abandoned
    clock.advance(5 * SECOND)
    assert await house.due() == 1

    sleep = await house.desks[1].asleep(house.sessions[1], "two", 10)
    clock.advance(20 * SECOND)
    await settled()
    assert (sleep.done(), desk.claimed_by()) == (False, ENVIRONMENT)
    await house.persistence.instances.register(Registration(ID, "t-1"), when=OPEN, at=clock.now())
    clock.advance(SECOND)

    with pytest.raises(InstanceSuperseded):
        await sleep


async def test_what_an_environment_gives_back_is_woken_within_a_second(house: House) -> None:
    desk, clock = house.desks[1], house.clock
    sleep = await desk.asleep(house.sessions[1], "nap", 5)
    desk.row.claim(Claim(ENVIRONMENT, clock.now() + CLAIM))
    clock.advance(6 * SECOND)
    await settled()
    assert not sleep.done()

    await house.persistence.claims.release(ENVIRONMENT, [ID], at=clock.now())
    clock.advance(SECOND)

    await sleep
    assert desk.state() is State.RUNNING

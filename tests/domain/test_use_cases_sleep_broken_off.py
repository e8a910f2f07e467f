import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.domain.desk import ID, TENANT, Desk, settled
from tests.support.clock import FrozenClock

from runtara_domain.error import (
    InstanceNotFound,
    InstanceSuperseded,
    InvalidInstanceState,
    NoAnswer,
)
from runtara_domain.model import (
    Caller,
    Claim,
    CustomSignal,
    Ending,
    EventType,
    Registration,
    Signal,
)
from runtara_domain.status import OPEN, SignalType, State
from runtara_persistence.memory.persistence import MemoryPersistence


@pytest.fixture(autouse=True)
async def at_work(desk: Desk) -> AsyncIterator[None]:
    """See that every test leaves nothing that waits, and no task."""
    tasks = len(asyncio.all_tasks())
    async with desk.at_work():
        yield
        await settled()
        assert (desk.waits.held, desk.held.held) == (0, 0)
    await settled()
    assert len(asyncio.all_tasks()) == tasks


async def test_paused_under_a_held_sleep_it_is_answered_with_the_error(
    desk: Desk, persistence: MemoryPersistence
) -> None:
    session = await desk.registered()
    sleep = await desk.asleep(session)
    await persistence.signals.send(ID, Signal(SignalType.PAUSE), when=OPEN, at=desk.clock.now())

    await desk.acknowledge_signal(
        session=session, caller=session.caller(ID), signal=SignalType.PAUSE, accepted=True
    )

    with pytest.raises(InvalidInstanceState, match="paused"):
        await sleep
    assert desk.state() is State.PAUSED


@pytest.mark.parametrize("ending", [EventType.COMPLETED, EventType.FAILED])
async def test_ended_under_a_held_sleep_it_is_answered_with_the_error(
    desk: Desk, ending: EventType
) -> None:
    session = await desk.registered()
    sleep = await desk.asleep(session)

    await desk.say(session, ending)

    with pytest.raises(InvalidInstanceState):
        await sleep


async def test_superseded_under_a_held_sleep_it_is_answered_with_the_error(desk: Desk) -> None:
    """This holds also if the sleeper never registered: it sleeps for the current run."""
    await desk.registered()
    nameless = desk.session()
    sleep = await desk.asleep(nameless)

    await desk.registered()

    with pytest.raises(InstanceSuperseded):
        await sleep
    assert desk.state() is State.RUNNING


async def test_a_run_that_goes_on_elsewhere_sleeps_on(desk: Desk, clock: FrozenClock) -> None:
    sleep = await desk.asleep(await desk.registered())

    await desk.register(desk.session(), continue_run=1)
    await settled()

    assert not sleep.done()
    clock.advance(timedelta(seconds=60))
    await sleep


@pytest.mark.parametrize("iterations", range(8))
async def test_a_connection_lost_at_any_moment_leaves_it_asleep_and_unclaimed(
    desk: Desk, clock: FrozenClock, iterations: int
) -> None:
    session = await desk.registered()
    sleep = asyncio.create_task(desk.sleep(session))
    for _ in range(iterations):
        await asyncio.sleep(0)

    session.close()

    with pytest.raises(NoAnswer):
        await sleep
    assert (desk.state(), desk.claimed_by()) == (State.ASLEEP, None)
    assert desk.row.sleep_until == clock.now() + timedelta(seconds=60)


@pytest.mark.parametrize("iterations", range(8))
async def test_a_custom_signal_sent_while_a_sleeper_leaves_makes_it_due(
    desk: Desk, persistence: MemoryPersistence, clock: FrozenClock, iterations: int
) -> None:
    """This holds also if its sleep was still held, and its instance claimed."""
    session = await desk.registered()
    sleep = await desk.asleep(session)
    send = persistence.signals.send_custom
    sending = asyncio.create_task(send(ID, CustomSignal("c"), when=OPEN, at=clock.now()))
    for _ in range(iterations):
        await asyncio.sleep(0)

    session.close()

    with pytest.raises(NoAnswer):
        await sleep
    await sending
    due = await persistence.claims.claim_due(
        Claim("environment", clock.now()), limit=1, at=clock.now()
    )
    assert [one.instance_id for one in due] == [ID]


async def test_a_custom_signal_ends_no_held_sleep(
    desk: Desk, persistence: MemoryPersistence, clock: FrozenClock
) -> None:
    """The process at the server that holds it gets the value by its poll; no other takes it."""
    sleep = await desk.asleep(await desk.registered(), seconds=60)

    await persistence.signals.send_custom(ID, CustomSignal("c"), when=OPEN, at=clock.now())
    await settled()

    due = await persistence.claims.claim_due(
        Claim("environment", clock.now()), limit=1, at=clock.now()
    )
    assert (due, sleep.done()) == ([], False)
    clock.advance(timedelta(seconds=60))
    await sleep
    assert desk.state() is State.RUNNING


@pytest.mark.parametrize("iterations", range(8))
async def test_a_shutdown_at_any_moment_leaves_it_asleep_and_unclaimed(
    desk: Desk, iterations: int
) -> None:
    sleep = asyncio.create_task(desk.sleep(await desk.registered()))
    for _ in range(iterations):
        await asyncio.sleep(0)

    desk.waits.end()

    with pytest.raises(NoAnswer):
        await sleep
    assert (desk.state(), desk.claimed_by()) == (State.ASLEEP, None)


async def test_one_that_another_server_claimed_waits_until_that_claim_has_run_out(
    desk: Desk, persistence: MemoryPersistence, clock: FrozenClock
) -> None:
    """The other server's environment may launch it; only if none does, it is woken here."""
    sleep = await desk.asleep(await desk.registered(), seconds=60)
    desk.row.claim(Claim("environment", clock.now() + timedelta(seconds=75)))

    clock.advance(timedelta(seconds=60))
    await settled()
    assert (sleep.done(), desk.state()) == (False, State.ASLEEP)
    clock.advance(timedelta(seconds=15))

    await sleep
    assert desk.state() is State.RUNNING


async def test_one_that_another_server_launched_anew_is_refused(
    desk: Desk, persistence: MemoryPersistence, clock: FrozenClock
) -> None:
    sleep = await desk.asleep(await desk.registered(), seconds=60)

    await persistence.instances.register(
        Registration(ID, TENANT, None, None), when=OPEN, at=clock.now()
    )
    clock.advance(timedelta(seconds=60))

    with pytest.raises(InstanceSuperseded):
        await sleep


async def test_one_that_another_server_ended_is_refused(
    desk: Desk, persistence: MemoryPersistence, clock: FrozenClock
) -> None:
    """This takes at most the interval of renewals: no watch reports it to this process."""
    sleep = await desk.asleep(await desk.registered(), seconds=3600)

    await persistence.instances.finish(
        Caller(ID), Ending(State.CANCELLED), when=OPEN, at=clock.now()
    )
    await settled()
    assert not sleep.done()
    clock.advance(timedelta(seconds=10))

    with pytest.raises(InvalidInstanceState, match="cancelled"):
        await sleep


async def test_one_that_was_deleted_meanwhile_is_refused(desk: Desk, clock: FrozenClock) -> None:
    sleep = await desk.asleep(await desk.registered(), seconds=3600)

    desk.store.delete([ID])
    clock.advance(timedelta(seconds=10))

    with pytest.raises(InstanceNotFound):
        await sleep

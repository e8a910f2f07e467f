import asyncio
from datetime import timedelta

import pytest
from tests.domain.desk import ID, settled, until
from tests.domain.waiting import ScriptedWatch, session, sleeping, woken
from tests.support.clock import FrozenClock

from runtara_domain.waits import Wait, Waits, WakeReason

SECOND = timedelta(seconds=1)


@pytest.fixture
def waits(clock: FrozenClock) -> Waits:
    return Waits(ScriptedWatch(), clock)


async def test_a_moment_wakes_when_it_comes_and_not_before(
    waits: Waits, clock: FrozenClock
) -> None:
    with waits.hold(session(), ID) as wait:
        waits.fire_at(wait, clock.now() + 2 * SECOND)
        waiting = await sleeping(wait)
        clock.advance(SECOND)
        await settled()
        assert not waiting.done()

        clock.advance(SECOND)

        assert await waiting is WakeReason.DUE


async def test_a_moment_that_has_passed_wakes_at_once(waits: Waits, clock: FrozenClock) -> None:
    with waits.hold(session(), ID) as wait:
        waits.fire_at(wait, clock.now() - SECOND)

        assert await woken(wait) is WakeReason.DUE


async def test_moments_are_kept_in_whatever_order_they_are_given(
    waits: Waits, clock: FrozenClock
) -> None:
    order: list[int] = []

    async def until_due(seconds: int) -> None:
        with waits.hold(session(), f"i-{seconds}") as wait:
            waits.fire_at(wait, clock.now() + seconds * SECOND)
            assert await wait.next() is WakeReason.DUE
            order.append(seconds)

    async with asyncio.TaskGroup() as group:
        for seconds in (3, 1, 4, 2):
            group.create_task(until_due(seconds))
        await until(lambda: waits.held == 4)
        await settled()
        for _ in range(4):
            clock.advance(SECOND)
            await settled()

    assert order == [1, 2, 3, 4]


async def test_any_number_of_moments_is_one_task(waits: Waits, clock: FrozenClock) -> None:
    before = len(asyncio.all_tasks())
    held = [waits.hold(session(), f"i-{number}") for number in range(100)]
    for number, one in enumerate(held):
        waits.fire_at(one.__enter__(), clock.now() + (100 - number) * SECOND)
    await settled()

    assert len(asyncio.all_tasks()) == before + 1

    for one in held:
        one.__exit__(None, None, None)
    await settled()
    assert (waits.held, len(asyncio.all_tasks())) == (0, before)


async def test_a_recheck_wakes_the_waits_of_that_instance(waits: Waits) -> None:
    with (
        waits.hold(session(), ID) as one,
        waits.hold(session(), ID) as same,
        waits.hold(session(), "i-2") as other,
    ):
        waits.recheck([ID, "nobody"])

        assert [await woken(one), await woken(same)] == [WakeReason.RECHECK, WakeReason.RECHECK]
        (await sleeping(other)).cancel()


async def test_a_recheck_of_none_wakes_all(waits: Waits) -> None:
    with waits.hold(session(), ID) as one, waits.hold(session(), "i-2") as other:
        waits.recheck(None)

        assert [await woken(one), await woken(other)] == [WakeReason.RECHECK, WakeReason.RECHECK]


async def test_a_reason_that_comes_between_two_calls_is_kept_once(waits: Waits) -> None:
    with waits.hold(session(), ID) as wait:
        waits.recheck([ID])
        waits.recheck([ID])

        assert await woken(wait) is WakeReason.RECHECK
        (await sleeping(wait)).cancel()


@pytest.mark.parametrize("first", list(WakeReason))
@pytest.mark.parametrize("second", list(WakeReason))
async def test_of_several_reasons_the_weightiest_is_heard(
    first: WakeReason, second: WakeReason
) -> None:
    wait = Wait(ID)
    wait.wake(first)
    wait.wake(second)

    assert await woken(wait) is max(first, second, key=lambda wake: wake.value)


@pytest.mark.parametrize("last", [WakeReason.DISCONNECTED, WakeReason.ENDING])
async def test_an_end_is_heard_again_and_again_whatever_comes_after(last: WakeReason) -> None:
    wait = Wait(ID)
    wait.wake(last)
    heard = [await woken(wait)]
    wait.wake(WakeReason.RECHECK)

    assert [*heard, await woken(wait), await woken(wait)] == [last] * 3


async def test_a_session_that_closes_wakes_its_waits_and_no_others(waits: Waits) -> None:
    closing = session()
    with waits.hold(closing, ID) as one, waits.hold(session(), ID) as other:
        closing.close()

        assert await woken(one) is WakeReason.DISCONNECTED
        (await sleeping(other)).cancel()


async def test_a_session_that_is_closed_already_holds_nothing_up(waits: Waits) -> None:
    closed = session()
    closed.close()

    with waits.hold(closed, ID) as wait:
        assert await woken(wait) is WakeReason.DISCONNECTED


async def test_the_end_wakes_those_that_wait_and_those_to_come(waits: Waits) -> None:
    with waits.hold(session(), ID) as one:
        waits.end()

        assert await woken(one) is WakeReason.ENDING
    with waits.hold(session(), ID) as late:
        assert await woken(late) is WakeReason.ENDING


async def test_a_caller_that_is_cancelled_leaves_nothing(waits: Waits, clock: FrozenClock) -> None:
    tasks = len(asyncio.all_tasks())

    async def wait_long() -> None:
        with waits.hold(session(), ID) as wait:
            waits.fire_at(wait, clock.now() + SECOND)
            await wait.next()

    waiting = asyncio.create_task(wait_long())
    await until(lambda: waits.held == 1)
    waiting.cancel()
    await asyncio.wait([waiting])
    await settled()

    assert (waits.held, len(asyncio.all_tasks())) == (0, tasks)


async def test_moments_of_waits_that_left_early_are_let_go_of(
    waits: Waits, clock: FrozenClock
) -> None:
    """Polls that are answered early leave their moment behind; only so many are kept."""
    with waits.hold(session(), ID) as stays:
        waits.fire_at(stays, clock.now() + SECOND)
        for _ in range(1000):
            with waits.hold(session(), ID) as early:
                waits.fire_at(early, clock.now() + 2 * SECOND)
        await settled()
        clock.advance(SECOND)

        assert await woken(stays) is WakeReason.DUE

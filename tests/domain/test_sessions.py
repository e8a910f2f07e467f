import asyncio

import pytest
from tests.domain.desk import ID, Desk

from runtara_domain.error import InvalidValue, TooManyInstances
from runtara_domain.model import Caller, EventType
from runtara_domain.sessions import InstanceSlots


def test_a_session_speaks_for_no_run_before_it_registers() -> None:
    assert InstanceSlots(1).open_session().caller(ID) == Caller(ID, None)


def test_a_session_speaks_for_the_newest_run_it_registered() -> None:
    session = InstanceSlots(1).open_session()

    session.bind(ID, 5)
    session.bind(ID, 4)

    assert session.caller(ID).run == 5


def test_a_session_has_a_run_of_each_instance() -> None:
    session = InstanceSlots(1).open_session()

    session.bind("i-1", 5)
    session.bind("i-2", 7)

    assert [session.caller(one).run for one in ("i-1", "i-2", "i-3")] == [5, 7, None]


def test_an_id_that_is_none_is_refused_where_the_caller_is_named() -> None:
    with pytest.raises(InvalidValue, match="instance_id"):
        InstanceSlots(1).open_session().caller("")


async def test_an_instance_has_one_place_however_often_it_is_registered(desk: Desk) -> None:
    first, second = await desk.registered(), await desk.registered()
    await desk.register(first)

    assert desk.slots.taken == 1
    first.close()
    assert desk.slots.taken == 1
    second.close()
    assert desk.slots.taken == 0


async def test_at_the_limit_an_instance_served_may_register_again(desk: Desk) -> None:
    await desk.registered("i-1")
    await desk.registered("i-2")

    await desk.registered("i-1")

    with pytest.raises(TooManyInstances):
        await desk.registered("i-3")


async def test_a_place_that_is_free_again_can_be_taken(desk: Desk) -> None:
    first = await desk.registered("i-1")
    await desk.registered("i-2")

    first.close()

    await desk.registered("i-3")
    assert desk.slots.taken == 2


async def test_one_session_holds_a_place_for_each_of_its_instances(desk: Desk) -> None:
    session = desk.session()
    await desk.register(session, "i-1")
    await desk.register(session, "i-2")

    assert desk.slots.taken == 2
    session.close()
    assert desk.slots.taken == 0


async def test_closing_twice_gives_back_once(desk: Desk) -> None:
    session, other = await desk.registered(), await desk.registered()

    session.close()
    session.close()

    assert desk.slots.taken == 1
    other.close()
    assert desk.slots.taken == 0


async def test_a_session_closed_while_it_registers_keeps_no_place(desk: Desk) -> None:
    session = desk.session()
    under_way = asyncio.create_task(desk.register(session))
    await asyncio.sleep(0)
    assert desk.slots.taken == 1

    session.close()
    await under_way

    assert desk.slots.taken == 0


async def test_a_session_closed_while_it_registers_again_leaves_the_others_place(
    desk: Desk,
) -> None:
    session, other = await desk.registered(), await desk.registered()
    under_way = asyncio.create_task(desk.register(session))
    await asyncio.sleep(0)

    session.close()
    await under_way

    assert desk.slots.taken == 1
    other.close()
    assert desk.slots.taken == 0


async def test_a_registration_that_is_cancelled_gives_its_place_back(desk: Desk) -> None:
    under_way = asyncio.create_task(desk.register(desk.session()))
    await asyncio.sleep(0)

    under_way.cancel()
    await asyncio.wait([under_way])

    assert desk.slots.taken == 0


@pytest.mark.parametrize("ending", [EventType.COMPLETED, EventType.FAILED])
async def test_an_instance_that_ends_frees_its_place_for_every_session(
    desk: Desk, ending: EventType
) -> None:
    ended: list[str] = []
    desk.slots.on_ended = lambda instance_id, is_launch_closed: ended.append(instance_id)
    session, other = await desk.registered(), await desk.registered()

    await desk.say(other, ending)

    assert (desk.slots.taken, ended) == (0, [ID])
    session.close()
    other.close()
    assert desk.slots.taken == 0


async def test_an_old_session_does_not_free_a_place_taken_anew(desk: Desk) -> None:
    """An id that was deleted and created again is another session's now."""
    old = await desk.registered()
    desk.slots.free(ID)
    await desk.registered()

    old.close()

    assert desk.slots.taken == 1

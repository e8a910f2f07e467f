"""An operator has a failed instance go on."""

import pytest
from tests.domain.desk import ID, Desk

from runtara_domain.error import (
    InstanceNotFound,
    InstanceSuperseded,
    InvalidInstanceState,
    InvalidValue,
)
from runtara_domain.model import EventType
from runtara_domain.status import OPEN, State
from runtara_domain.use_cases.instances import ReopenInstance
from runtara_persistence.memory.instances import MemoryInstances


def reopening(desk: Desk) -> ReopenInstance:
    return ReopenInstance(MemoryInstances(desk.store), desk.clock)


@pytest.mark.parametrize("is_registered", [False, True])
async def test_a_late_ending_of_the_old_run_must_stop(desk: Desk, is_registered: bool) -> None:
    """The same ending again, on the connection that gave it or on one that never registered."""
    session = await desk.registered()
    await desk.save(session, "c-1", b"")
    await desk.say(session, EventType.FAILED, b"broken")

    reopened = await reopening(desk)(instance_id=ID, set_aside=["c-1"])

    assert reopened.run == 2
    assert reopened.set_aside == {"c-1"}
    late = session if is_registered else desk.session()
    with pytest.raises(InstanceSuperseded, match="must stop"):
        await desk.say(late, EventType.FAILED, b"broken")
    assert desk.state() is State.ASLEEP


@pytest.mark.parametrize("state", sorted(OPEN | {State.COMPLETED}))
async def test_what_is_open_or_completed_is_not_reopened(desk: Desk, state: State) -> None:
    """The refusal says in which state it is, and in which it must be."""
    desk.put(state)

    with pytest.raises(InvalidInstanceState, match=f"is {state}: .* cancelled or failed"):
        await reopening(desk)(instance_id=ID)


async def test_an_unknown_instance_is_not_reopened(desk: Desk) -> None:
    """A text that is no id is not reopened either."""
    with pytest.raises(InstanceNotFound):
        await reopening(desk)(instance_id="unknown")
    with pytest.raises(InvalidValue, match="set_aside"):
        await reopening(desk)(instance_id=ID, set_aside=[""])

"""An instance says that its code can't go on."""

import pytest
from tests.domain.desk import ID, Desk

from runtara_domain.error import InvalidInstanceState, InvalidValue
from runtara_domain.model import Event, EventType
from runtara_domain.status import FINAL, SignalType, State


async def block(desk: Desk, reason: str) -> None:
    session = desk.session()
    event = Event(EventType.SUSPENDED, b"", desk.clock.now(), blocked_reason=reason)
    await desk.record_event(session=session, caller=session.caller(ID), event=event)


@pytest.mark.parametrize("reason", ["step 2 is gone", ""])
async def test_a_blocked_instance_is_paused_with_its_reason(desk: Desk, reason: str) -> None:
    """An empty reason counts as one that was not given; a pending cancel stays pending."""
    await desk.registered()
    signal = desk.put_signal(SignalType.CANCEL)

    await block(desk, reason)

    assert desk.state() is State.PAUSED
    assert desk.row.blocked_reason == (reason or "(the instance gave no reason)")
    assert signal.acknowledged_at is None


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_a_finished_instance_cannot_block(desk: Desk, state: State) -> None:
    """It has ended."""
    desk.put(state)

    with pytest.raises(InvalidInstanceState, match=f"is {state}"):
        await block(desk, "step 2 is gone")


async def test_only_suspended_brings_it(desk: Desk) -> None:
    """With any other event it would be lost."""
    now = desk.clock.now()
    with pytest.raises(InvalidValue, match="blocked_reason: belongs to the event suspended"):
        Event(EventType.CUSTOM, b"", now, blocked_reason="[]")
    with pytest.raises(InvalidValue, match="waits: belongs to the event suspended"):
        Event(EventType.FAILED, b"", now, waits="[]")
    with pytest.raises(InvalidValue, match="failure: belongs to the event failed"):
        Event(EventType.COMPLETED, b"", now, failure=b"{}")


@pytest.mark.parametrize("reason", ["x" * 65_537, "a\0b", "\ud800"])
async def test_a_reason_is_short_and_storable(desk: Desk, reason: str) -> None:
    """It is shown in every list."""
    with pytest.raises(InvalidValue, match=r"^blocked_reason: takes"):
        await block(desk, reason)

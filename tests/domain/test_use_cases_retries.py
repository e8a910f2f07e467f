from datetime import timedelta

import pytest
from tests.domain.desk import ID, Desk

from runtara_domain.error import (
    InstanceNotFound,
    InstanceSuperseded,
    InvalidInstanceState,
    InvalidValue,
)
from runtara_domain.model import RetryAttempt
from runtara_domain.sessions import Session
from runtara_domain.status import FINAL, OPEN, State


async def record(desk: Desk, session: Session, number: int = 1, *, error: str = "no") -> None:
    attempt = RetryAttempt("c-1", number, desk.clock.now(), error)
    await desk.record_retry_attempt(caller=session.caller(ID), attempt=attempt)


async def test_an_attempt_is_kept_beside_the_checkpoints_and_is_none(desk: Desk) -> None:
    session = await desk.registered()

    await record(desk, session, 2, error="timed out")

    row = desk.store.checkpoints[ID, "c-1::retry::2"]
    assert (row.is_retry_attempt, row.attempt_number) == (True, 2)
    assert (row.error_message, row.created_at) == ("timed out", desk.clock.now())
    assert desk.row.checkpoint_id is None
    assert await desk.save(session, "c-1", b"one") is None


async def test_the_same_attempt_again_overwrites_it(desk: Desk) -> None:
    session = await desk.registered()

    for error in ("first", "second"):
        await record(desk, session, error=error)

    assert desk.store.checkpoints[ID, "c-1::retry::1"].error_message == "second"
    assert len(desk.store.checkpoints) == 1


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_any_open_instance_may_record_one(desk: Desk, state: State) -> None:
    desk.put(state)

    await record(desk, desk.session())

    assert desk.state() is state
    assert desk.row.last_activity_at == desk.clock.now()


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_a_finished_one_may_not(desk: Desk, state: State) -> None:
    desk.put(state)

    with pytest.raises(InvalidInstanceState, match=state):
        await record(desk, desk.session())
    assert desk.store.checkpoints == {}


async def test_an_unknown_one_may_not(desk: Desk) -> None:
    with pytest.raises(InstanceNotFound):
        await record(desk, desk.session())


async def test_a_superseded_run_may_not(desk: Desk) -> None:
    old = await desk.registered()
    await desk.registered()

    with pytest.raises(InstanceSuperseded):
        await record(desk, old)
    assert desk.store.checkpoints == {}


@pytest.mark.parametrize("number", [0, -1, 2**31])
def test_an_attempt_is_counted_from_one(desk: Desk, number: int) -> None:
    with pytest.raises(InvalidValue, match="attempt_number"):
        RetryAttempt("c-1", number, desk.clock.now())


async def test_a_time_that_cannot_be_right_becomes_now(desk: Desk) -> None:
    session = await desk.registered()
    far = desk.clock.now() + timedelta(days=400)

    await desk.record_retry_attempt(caller=session.caller(ID), attempt=RetryAttempt("c-1", 1, far))

    assert desk.store.checkpoints[ID, "c-1::retry::1"].created_at == desk.clock.now()

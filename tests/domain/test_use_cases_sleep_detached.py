"""A detached sleep is answered as soon as it is stored."""

from datetime import timedelta

import pytest
from tests.domain.desk import ID, Desk

from runtara_domain.error import InvalidInstanceState, InvalidValue
from runtara_domain.model import Sleep
from runtara_domain.status import State


async def test_it_is_answered_when_stored_and_nothing_is_held(desk: Desk) -> None:
    """No wait, no claim: any server or environment may wake the instance."""
    session = await desk.registered()
    sleep = Sleep("nap", b"", timedelta(hours=1), detach=True, waits="[]")

    await desk.sleep_durably(session=session, caller=session.caller(ID), sleep=sleep)

    assert desk.state() is State.ASLEEP
    assert desk.row.sleep_until == desk.clock.now() + timedelta(hours=1)
    assert (desk.row.waits, desk.claimed_by()) == ("[]", None)
    assert (desk.waits.held, desk.held.held) == (0, 0)


async def test_it_is_refused_like_any_other(desk: Desk) -> None:
    """A paused instance must not go on."""
    session = await desk.registered()
    desk.put(State.PAUSED)

    with pytest.raises(InvalidInstanceState, match="to sleep"):
        await desk.sleep_durably(
            session=session,
            caller=session.caller(ID),
            sleep=Sleep("nap", b"", timedelta(hours=1), detach=True),
        )


@pytest.mark.parametrize("waits", ["", "{", "{}", "[1]", "[" * 10_000, "[" + " " * 65_536 + "]"])
async def test_what_is_awaited_is_a_short_list_of_objects(waits: str) -> None:
    """Readers find the keys that they know."""
    with pytest.raises(InvalidValue, match=r"^waits: takes"):
        Sleep("nap", b"", timedelta(0), waits=waits)

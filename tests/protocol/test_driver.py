"""The driver's timer: when the machine is asked for an earlier one."""

from collections import deque
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import QuicEvent

from runtara_protocol.quic.datapath import Datapath
from runtara_protocol.quic.driver import ACK_DELAY, Driver

SET_TO = ACK_DELAY / 2
"""Seconds from now: the timer that is set fires sooner than an acknowledgement is owed."""


class Machine(SimpleNamespace):
    """As much of a machine as a driver with nothing to send looks at."""

    def __init__(self) -> None:
        space = SimpleNamespace(ack_at=None, loss_time=None)
        super().__init__(
            _local_max_streams_bidi=SimpleNamespace(value=2, sent=2, used=0),
            _handshake_confirmed=True,
            _handshake_done_pending=False,
            _close_pending=False,
            _close_event=None,
            _pacing_at=None,
            _streams_queue=[],
            _events=deque(),
            _loss=SimpleNamespace(spaces=[space]),
            space=space,
            asked=0,
            at=0.0,
        )

    def get_timer(self) -> float:
        """Return what the test wants, and count the question."""
        self.asked += 1
        return cast(float, self.at)


class Idle(Driver):
    """A driver whose connection brings no events."""

    def _on_event(self, event: QuicEvent) -> None:
        raise AssertionError(event)

    def _on_closed(self, reason: str) -> None:
        raise AssertionError(reason)


def _stopped(driver: Driver) -> float:
    """Stop the timer, and return what it was set to."""
    assert driver._timer is not None
    driver._timer.cancel()
    return driver._timer_at


@pytest.mark.parametrize("moved", ["nothing", "ack_at", "loss_time", "pacing"])
async def test_the_machine_is_asked_only_if_its_timer_may_be_earlier(moved: str) -> None:
    """What may not be late sets the timer anew; a probe waits for the timer that is set."""
    now = monotonic()
    machine = Machine()
    driver = Idle(cast(QuicConnection, machine), cast(Datapath, None))
    machine.at = now + SET_TO
    driver.process(now)
    assert machine.asked == 1

    machine.at = now + SET_TO / 2
    changes: dict[str, tuple[Any, str, object]] = {
        "ack_at": (machine.space, "ack_at", machine.at),
        "loss_time": (machine.space, "loss_time", machine.at),
        "pacing": (machine, "_pacing_at", machine.at),
    }
    if moved in changes:
        setattr(*changes[moved])
    driver.process(now)
    set_to = _stopped(driver)

    assert machine.asked == (1 if moved == "nothing" else 2)
    assert set_to == now + (SET_TO if moved == "nothing" else SET_TO / 2)


async def test_a_timer_that_is_far_away_is_set_anew() -> None:
    """An acknowledgement would come too late by it."""
    now = monotonic()
    machine = Machine()
    driver = Idle(cast(QuicConnection, machine), cast(Datapath, None))
    for seconds in (10, 5):
        machine.at = now + seconds
        driver.process(now)

    assert _stopped(driver) == now + 5

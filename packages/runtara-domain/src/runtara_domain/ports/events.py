"""What the core needs stored about events."""

from datetime import datetime
from typing import Protocol

from runtara_domain.model import Caller, Ending, Event, Recorded
from runtara_domain.status import Condition


class Events(Protocol):
    """Events, and the moves that come with some of them: an event and its move are one step."""

    async def append(
        self, caller: Caller, event: Event, *, when: Condition, at: datetime
    ) -> Recorded:
        """Keep an event that moves nothing, if the instance admits the caller."""
        ...

    async def end(
        self, caller: Caller, event: Event, ending: Ending, *, when: Condition, at: datetime
    ) -> Recorded:
        """
        Keep the event and end the instance so, if it admits the caller.

        The row gets status, output or error, and `finished_at`; `sleep_until` and the wake claim
        are cleared. An instance not superseded that has already ended in the same state with the
        same output and error is `repeated`: nothing is written. Of concurrent endings one applies.
        """
        ...

    async def suspend(self, caller: Caller, event: Event, *, at: datetime) -> Recorded:
        """
        Keep the event and move the instance to where `status.settle` leads, with what is pending
        for it.

        A pending cancel or pause is acknowledged by it; a move to CANCELLED sets `finished_at`;
        every move clears `sleep_until` and the wake claim. Where `settle` gives None, or the caller
        is superseded, nothing is written and `after` is None.
        """
        ...

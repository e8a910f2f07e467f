"""What the core needs stored about events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from runtara_domain.model import (
    Caller,
    Ending,
    Event,
    EventFilter,
    EventStep,
    Recorded,
    StoredEvent,
)
from runtara_domain.status import Condition


class Events(Protocol):
    """Events, and the moves that come with some of them: an event and its move are one step."""

    async def append(
        self, caller: Caller, event: Event, *, when: Condition, at: datetime
    ) -> Recorded:
        """
        Keep an event that moves no state, if the instance admits the caller.

        `last_activity_at` moves with this and every other event that is kept.
        """
        ...

    async def end(
        self, caller: Caller, event: Event, ending: Ending, *, when: Condition, at: datetime
    ) -> Recorded:
        """
        Keep the event and end the instance so, if it admits the caller.

        The row gets status, output or error, and `finished_at`; `sleep_until` and the wake claim
        are cleared. An instance not superseded that has already ended in the same state with the
        same output and error is `repeated`: nothing is written. Of concurrent endings one applies.
        One that was reopened and has not begun a run since takes no ending of a caller without a
        run: `after` is None.
        """
        ...

    async def suspend(self, caller: Caller, event: Event, *, at: datetime) -> Recorded:
        """
        Keep the event and move the instance to where `status.settle` leads, with what is pending
        for it.

        A pending cancel or pause is acknowledged by it; a move to CANCELLED sets `finished_at`;
        every move clears `sleep_until` and the wake claim, and what the event says that it awaits
        is kept with a suspended instance. Where `settle` gives None, or the caller is superseded,
        nothing is written and `after` is None; unless the cancel was acknowledged and the last
        `started` or `suspended` kept is this event, with the same payload: that one ended the
        instance, and this is `repeated`.

        With a `blocked_reason` an open instance is blocked instead, as by `instances.block`.
        """
        ...

    async def record_all(self, steps: Sequence[EventStep], *, at: datetime) -> list[Recorded]:
        """
        Take each step in turn as `append`, `end` or `suspend` would, all in one transaction.

        One that is not admitted is passed over, and its outcome says so.
        """
        ...

    async def page(
        self, which: EventFilter, *, after_id: int = 0, offset: int = 0, limit: int = 100
    ) -> list[StoredEvent]:
        """Read events in the order they were stored, behind `after_id`, `offset` passed over."""
        ...

    async def count(self, which: EventFilter) -> int:
        """Count events."""
        ...

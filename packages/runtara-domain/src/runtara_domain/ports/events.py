"""The port to stored events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
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
    """Events; some of them move their instance, in the same step."""

    async def append(
        self, caller: Caller, event: Event, *, when: Condition, at: datetime
    ) -> Recorded:
        """
        Store an event that moves no state, if the instance admits the caller.

        Each stored event moves `last_activity_at`.
        """
        ...

    async def end(
        self, caller: Caller, event: Event, ending: Ending, *, when: Condition, at: datetime
    ) -> Recorded:
        """
        Store the event and end the instance, if it admits the caller.

        The row gets status, output or error, and `finished_at`; `sleep_until` and the wake claim
        are cleared. If the caller is not superseded, and the instance has ended in the same state
        with the same output and error, the outcome is `repeated` and nothing is written. Of
        concurrent ends one applies. A reopened instance that has not begun a run yet accepts no end
        from a caller without a run: `after` is None.

        If the event has an exit code, and a worker executes the open launch of the caller's run,
        the same step closes this launch, as `launches.close` would after the end: exited with this
        code, with the verdict NOTHING.
        """
        ...

    async def suspend(self, caller: Caller, event: Event, *, at: datetime) -> Recorded:
        """
        Store the event, and move the instance to the state that `status.settle` gives for its
        pending signal.

        The step acknowledges a pending cancel or pause. A move to CANCELLED sets `finished_at`.
        Every move clears `sleep_until` and the wake claim; a suspended instance gets the event's
        waits. If `settle` gives None, or the caller is superseded, nothing is written and `after`
        is None. But if the cancel was acknowledged, and the last stored `started` or `suspended` is
        this event with the same payload, that event ended the instance: the outcome is `repeated`.

        With a `blocked_reason` an open instance is blocked instead, as by `instances.block`.
        """
        ...

    async def record_all(self, steps: Sequence[EventStep], *, at: datetime) -> list[Recorded]:
        """
        Execute each step in order as `append`, `end` or `suspend` would, all in one transaction.

        A step that its instance does not admit changes nothing, as its outcome shows.
        """
        ...

    async def page(
        self, which: EventFilter, *, after_id: int = 0, offset: int = 0, limit: int = 100
    ) -> list[StoredEvent]:
        """Read events after `after_id` in the order of storing, without the first `offset`."""
        ...

    async def count(self, which: EventFilter) -> int:
        """Count events."""
        ...

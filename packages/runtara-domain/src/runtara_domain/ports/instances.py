"""What the core needs stored about instances."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from runtara_domain.model import (
    Caller,
    ChildStarted,
    Ending,
    Instance,
    InstanceFilter,
    InstanceSummary,
    NewChild,
    NewInstance,
    Registered,
    Registration,
    Reopened,
    Reopening,
    Report,
    RunState,
)
from runtara_domain.status import Condition


class Instances(Protocol):
    """
    Instances, their states and runs.

    A step of any port that ends an instance which has a parent also puts in `ending_signal` as a
    custom signal for the parent, as `Signals.send_custom` would, if the parent exists, is open and
    belongs to the same tenant. The ending stands without it.
    """

    async def register(
        self, registration: Registration, *, when: Condition, at: datetime
    ) -> Registered:
        """
        Begin a run, or find the one to continue.

        An unknown instance is created RUNNING in its run 1, unless the registration names a
        checkpoint, a launch or a run to continue (none of them can exist). A known one becomes
        RUNNING in its next run if the tenant owns it, its state is in `when`, the named checkpoint
        exists and the named launch is the one in its row; with that `sleep_until`, the wake claim,
        what it awaited and why it was blocked are cleared, a pending resume is acknowledged, the
        code version is kept if it is given, and `workflow` and `started_at` are set if they were
        not. Each run begun adds one `started` event. With `continue_run` nothing is moved or added.
        When anything speaks against it, nothing is changed, and the outcome tells all that was
        found.
        """
        ...

    async def get(self, instance_id: str) -> Instance | None:
        """Read one; None if there is none."""
        ...

    async def run_state(self, instance_id: str) -> RunState | None:
        """Read state and run alone; None if there is none."""
        ...

    async def mark_active(self, callers: Collection[Caller], *, at: datetime) -> set[str]:
        """
        Move `last_activity_at` forward to `at` for callers that are open and not superseded.

        Unknown instances are passed over; it never moves backward. Waits for no lock: tells which
        instances another step had in hand just now, so that they are left as they were.
        """
        ...

    async def report(
        self, caller: Caller, report: Report, *, when: Condition, at: datetime
    ) -> RunState | None:
        """
        Keep what a caller says of itself, if it admits that; tells how it stood before.

        What is None stays as it was. `last_activity_at` moves forward. Nothing is woken by it.
        """
        ...

    async def create(self, new: NewInstance, *, at: datetime) -> bool:
        """Keep a PENDING instance; False, and nothing is changed, if the id is taken."""
        ...

    async def start_child(
        self, caller: Caller, child: NewChild, *, when: Condition, at: datetime
    ) -> ChildStarted:
        """
        Keep a PENDING instance as a child of the caller, for the same tenant, if it admits that.

        A successor gets the image and the variables of the caller, and no parent. Where the id is
        taken nothing is changed. Of concurrent callers one creates the child.
        """
        ...

    async def input(self, instance_id: str) -> bytes | None:
        """Read what an instance was created with; None if nothing, or if it is unknown."""
        ...

    async def run_states(self, instance_ids: Collection[str]) -> Mapping[str, RunState]:
        """Read state and run of many at once; unknown ones are missing from the answer."""
        ...

    async def page(
        self, which: InstanceFilter, *, after: InstanceSummary | None = None, limit: int = 100
    ) -> list[InstanceSummary]:
        """Read instances, newest first, ties by id; `after` is the last of the page before."""
        ...

    async def count(self, which: InstanceFilter) -> int:
        """Count instances."""
        ...

    async def inactive_since(self, since: datetime, *, limit: int = 100) -> list[InstanceSummary]:
        """
        Find RUNNING instances not heard of since then, the longest silent first.

        Heard of: `last_activity_at`, else `started_at`, else `created_at`.
        """
        ...

    async def finish(
        self, caller: Caller, ending: Ending, *, when: Condition, at: datetime
    ) -> RunState | None:
        """
        End an instance from outside, if it admits the caller; None if it is unknown.

        With a run given, only if it is still the newest. The row gets all of the ending and
        `finished_at`; `sleep_until` and the wake claim are cleared. No event is added.
        """
        ...

    async def block(
        self, caller: Caller, reason: str, *, when: Condition, at: datetime
    ) -> RunState | None:
        """
        Pause an instance whose code can't go on, with the reason, if it admits the caller.

        None if it is unknown. With a run given, only if it is still the newest. `sleep_until`, the
        wake claim and what it awaited are cleared, `error` gets the reason, at most 64 KiB. No
        signal is settled, and the one that is pending no longer makes the instance due: a cancel or
        resume that is sent later does. Blocked already, it gets the new reason alone. No event is
        added.
        """
        ...

    async def reopen(self, asked: Reopening, *, when: Condition, at: datetime) -> Reopened:
        """
        Have a finished instance go on, if its state is in `when`: asleep, and due at `at`.

        `finished_at`, `output` and `error` are cleared, and kept in a custom event
        `runtara.reopened`. The run moves on: what the former ones still ask is superseded, and an
        ending of a caller that never registered is refused until a run has begun. A pending signal
        is settled; at a parent that is open the custom signal of the ending is removed. Of its own
        children the instance hears as they are by then: the custom signals of those that are open
        are removed, and those of the finished are put in, or replaced if they tell of something
        else. Checkpoints that are set aside, and the retry attempts recorded for them, stay as
        audit rows under `model.reopening.aside` and are found no more; the pointer, if it named one
        of them, moves to the newest that is left. All else stays.
        """
        ...

    async def prune(self, finished_before: datetime, *, limit: int = 1000) -> int:
        """
        Delete finished instances with all that belongs to them, the oldest first; tells how many.

        Children whose parent is open are passed over.
        """
        ...

"""The port to stored instances."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from runtara_domain.model import (
        Caller,
        ChildrenStarted,
        ChildStarted,
        Ending,
        Instance,
        InstanceFilter,
        InstanceSummary,
        NewChild,
        NewChildren,
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

    Any step that ends an instance with a parent also sends the parent `ending_signal`, as
    `Signals.send_custom` would, if the parent exists, is open and belongs to the same tenant.
    Otherwise the instance ends without that signal.
    """

    async def register(
        self, registration: Registration, *, when: Condition, at: datetime
    ) -> Registered:
        """
        Begin a run, or find the one to continue.

        An unknown instance is created RUNNING in its run 1, unless the registration names a
        checkpoint, a launch or a run to continue (none of them can exist). A known one becomes
        RUNNING in its next run if the tenant owns it, its state is in `when`, the named checkpoint
        exists and the named launch is the one in its row. Then `sleep_until`, the wake claim, its
        waits and its blocked reason are cleared, a pending resume is acknowledged, the code version
        is stored if it is given, and `workflow` and `started_at` are set if they were not. Each new
        run adds one `started` event. With `continue_run` nothing is moved or added. If a condition
        fails, nothing is changed, and the outcome has the result of each check.
        """
        ...

    async def get(self, instance_id: str) -> Instance | None:
        """Read an instance; None if there is none."""
        ...

    async def run_state(self, instance_id: str) -> RunState | None:
        """Read only an instance's state and run; None if there is no such instance."""
        ...

    async def mark_active(self, callers: Collection[Caller], *, at: datetime) -> set[str]:
        """
        Move `last_activity_at` forward to `at` for callers that are open and not superseded.

        It never moves backward. Unknown instances are ignored. The step waits for no lock: it
        returns the ids of instances that another step had locked, which are left unchanged.
        """
        ...

    async def report(
        self, caller: Caller, report: Report, *, when: Condition, at: datetime
    ) -> RunState | None:
        """
        Store a caller's report if the instance admits the caller; return its state before.

        A field that is None keeps its stored value. `last_activity_at` moves forward. No watch is
        called.
        """
        ...

    async def create(self, new: NewInstance, *, at: datetime) -> bool:
        """Store a PENDING instance; False, and nothing is changed, if the id is taken."""
        ...

    async def start_child(
        self, caller: Caller, child: NewChild, *, when: Condition, at: datetime
    ) -> ChildStarted:
        """
        Store a PENDING child of the caller, for the same tenant, if the caller is admitted.

        A successor gets the caller's image and variables, and no parent. If the id is taken,
        nothing is changed. Of concurrent callers one creates the child.
        """
        ...

    async def start_children(
        self, caller: Caller, new: NewChildren, *, when: Condition, at: datetime
    ) -> ChildrenStarted:
        """
        Start children as `start_child` does, and save checkpoints as `Checkpoints.save` does.

        All of this is one step, and all or nothing: if one child's id is another instance's,
        nothing is changed. A child that exists already, or a checkpoint, stays as it is. The
        checkpoints are saved in their order.
        """
        ...

    async def input(self, instance_id: str) -> bytes | None:
        """Read an instance's input; None if it has none, or is unknown."""
        ...

    async def run_states(self, instance_ids: Collection[str]) -> Mapping[str, RunState]:
        """Read the state and run of many instances; unknown ones are missing from the result."""
        ...

    async def page(
        self, which: InstanceFilter, *, after: InstanceSummary | None = None, limit: int = 100
    ) -> list[InstanceSummary]:
        """Read instances, newest first, then by id; `after` is the last one of the former page."""
        ...

    async def count(self, which: InstanceFilter) -> int:
        """Count instances."""
        ...

    async def inactive_since(self, since: datetime, *, limit: int = 100) -> list[InstanceSummary]:
        """
        Find RUNNING instances without a sign of life since then, the longest silent first.

        The last sign of life is `last_activity_at`, else `started_at`, else `created_at`.
        """
        ...

    async def finish(
        self, caller: Caller, ending: Ending, *, when: Condition, at: datetime
    ) -> RunState | None:
        """
        End an instance from outside, if it admits the caller; None if it is unknown.

        A caller with a run is admitted only if its run is the newest. The row gets all fields of
        the ending and `finished_at`; `sleep_until` and the wake claim are cleared. No event is
        added.
        """
        ...

    async def block(
        self, caller: Caller, reason: str, *, when: Condition, at: datetime
    ) -> RunState | None:
        """
        Pause an instance whose code can't go on, with the reason, if it admits the caller.

        Returns None if it is unknown. A caller with a run is admitted only if its run is the
        newest. `sleep_until`, the wake claim and the waits are cleared; `error` gets the reason, at
        most 64 KiB. No signal is acknowledged. The pending signal no longer makes the instance due,
        but a later cancel or resume does. If the instance is blocked already, only its reason
        changes. No event is added.
        """
        ...

    async def reopen(self, asked: Reopening, *, when: Condition, at: datetime) -> Reopened:
        """
        Let a finished instance go on if its state is in `when`: it is asleep, and due at `at`.

        A custom event `runtara.reopened` stores `finished_at`, `output` and `error`, which are
        cleared. The run number grows: requests of former runs are superseded, and an ending from a
        caller that never registered is refused until a run has begun. A pending signal is
        acknowledged. If the parent is open, the custom signal of the former end is removed there.
        The instance's own signals of its children are brought up to date: those of open children
        are removed, those of finished children are stored or replaced. Checkpoints that are set
        aside, and the retry attempts recorded for them, become audit rows under
        `model.reopening.aside`, and are found no more. If the pointer named one of them, it moves
        to the newest checkpoint left. Everything else stays.
        """
        ...

    async def prune(self, finished_before: datetime, *, limit: int = 1000) -> int:
        """
        Delete finished instances with all their data, the oldest first, and return their number.

        Children with an open parent are kept.
        """
        ...

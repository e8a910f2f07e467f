"""The port to stored launches, and to operators' steps on instances."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from runtara_domain.model.instance_lists import InstanceOrder

if TYPE_CHECKING:
    from runtara_domain.model.instance_copies import Copied, InstanceCopy, PutCopy
    from runtara_domain.model.instance_lists import InstancePlace, InstanceQuery, ListedInstance
    from runtara_domain.model.instance_views import InstanceView
    from runtara_domain.model.interventions import (
        Deleted,
        Deletion,
        Fork,
        Forked,
        Moved,
        Retried,
        Retry,
        Stop,
        Stopped,
    )
    from runtara_domain.model.launches import (
        Claims,
        Closed,
        Closing,
        InstanceStart,
        Judge,
        Offer,
        OpenLaunch,
        Started,
    )
    from runtara_domain.model.metrics import MetricsBucket
    from runtara_domain.model.stored_launches import Launch, LaunchFilter
    from runtara_domain.status import State


class Launches(Protocol):
    """
    Launches; an instance has at most one open launch, from its claim until it is closed.

    Which instances are launchable is a condition on rows. No launch of it is open, `launch_after`
    has passed, it has an image or a workflow, and it is PENDING; or due and under no claim of a
    core; or RUNNING in a run whose launch has ended; or RUNNING in a run whose environment was
    lost, and silent; or RUNNING with an image, and silent.
    """

    async def start(
        self, start: InstanceStart, *, at: datetime, offer: Offer | None = None
    ) -> Started:
        """
        Store a PENDING instance with its input and its image or workflow.

        The id is checked first: a second start with the same id, tenant, image name or workflow,
        and input changes nothing. Then the image must exist for the tenant; its bytes and runner
        don't matter. Then, if an open instance has the deduplication key, nothing is done: of
        concurrent callers with one key one creates. With an offer whose environment has a free
        slot, the same step also claims the first instance for that offer, which may be another one.
        It claims nothing while another step has the environment's row.
        """
        ...

    async def claim(self, offer: Offer, *, limit: int, at: datetime) -> Claims:
        """
        Claim launchable instances that the offer can run, and write their open launches.

        The highest priority comes first, then the longest wait, then the id. Of concurrent callers
        each instance goes to one. Instances under a hold or a reached limit are skipped without
        being read. Without a valid lease nothing is claimed. An instance that was started by
        workflow name gets the newest image that serves it, and keeps that image; if a worker claims
        it first, only workers run it. If another step had a row locked, the claim may miss that
        instance: `again_at` is then the moment of the next claim.
        """
        ...

    async def mark_started(
        self, launch_id: str, *, handle: str | None = None, at: datetime
    ) -> bool:
        """
        Store that the process of an open launch runs, and the handle for its placement.

        Returns False if the launch is not open any more; the process must then be ended.
        """
        ...

    async def close(self, closing: Closing, judge: Judge, *, at: datetime) -> Closed:
        """
        Close an open launch and apply the verdict to its instance, in one step.

        The step calls `judge` with the instance's row, and again if the row has changed before it
        is written. Only an open launch is closed: of concurrent callers one closes it, and none
        after another run or launch superseded it. The launch gets its cause and figures, and the
        figures are added to the instance's, with any verdict.
        """
        ...

    async def open_launches(self, environment_id: str, *, at: datetime) -> Sequence[OpenLaunch]:
        """
        Read the open launches of an environment, the oldest first.

        A launch that is missing was superseded by another run or launch: its process must be ended.
        """
        ...

    async def stop(self, stop: Stop, *, at: datetime) -> Stopped:
        """
        Send the instance a cancel with the end of its grace and the reason, unless it is finished.

        A PENDING instance is CANCELLED at once, with the reason. A second stop can only make the
        end of the grace earlier.
        """
        ...

    async def end_stopped(
        self, *, patience: timedelta = timedelta(seconds=2), limit: int = 100, at: datetime
    ) -> Sequence[str]:
        """
        End stopped instances without an environment as CANCELLED, `patience` after the stop.

        An instance has no environment if it has no open launch, or if its environment's lease has
        expired. Returns their ids.
        """
        ...

    async def resume(self, instance_id: str, *, at: datetime) -> State | None:
        """
        Make an instance launchable now that is paused, asleep, blocked or in back-off.

        Returns its state before the step; None if it is unknown. For a RUNNING instance a pending
        pause is removed. For a PENDING one only a back-off ends. A finished one stays as it is.
        """
        ...

    async def end_waits(self, instance_ids: Collection[str]) -> None:
        """
        End the back-off of these instances if their newest launch ended with the cause `waiting`.

        Instances whose newest launch is open, or ended with another cause, stay as they are.
        """
        ...

    async def retry(self, retry: Retry, *, at: datetime) -> Retried:
        """
        Let a FAILED or CANCELLED instance go on, as `Instances.reopen` does. For every instance
        that is not COMPLETED, clear back-off, stop and crash count, and close the open launch.
        """
        ...

    async def move(self, instance_id: str, image_id: str, *, at: datetime) -> Moved:
        """
        Give an open instance without an open launch another image of its tenant.

        A blocked instance becomes due.
        """
        ...

    async def fork(self, fork: Fork, *, at: datetime) -> Forked:
        """
        Store a new PENDING instance with the input and a copy of the history of another one.

        The checkpoints up to the point are copied, at most 100,000, with their deadlines and
        attempts, and all custom signals. The copy has no parent. Nothing is done if a child that
        was started before the point had not ended in that history.
        """
        ...

    async def delete(self, deletion: Deletion) -> Deleted:
        """
        Delete a finished instance, its descendants, and all their data.

        Nothing is done while its parent, a descendant or a launch of any of them is open, or if a
        condition of the deletion does not hold.
        """
        ...

    async def copy(self, instance_id: str) -> Copied | None:
        """
        Read an instance with its history, all as of one moment; None if it is unknown.

        Raises InvalidValue for a history of more than MOST_COPIED bytes, before reading it.
        """
        ...

    async def put_copy(
        self, copy: InstanceCopy, source: str, *, image_id: str | None, at: datetime
    ) -> PutCopy:
        """
        Store a copy of an instance, with an event that names its source.

        An open instance is stored as PAUSED: it is not launched until it is resumed. Its former
        runs are superseded. It has no parent. image_id: the image that it runs; None runs whatever
        serves its workflow's name. If the id is taken, nothing is changed.
        """
        ...

    async def page(
        self, which: LaunchFilter, *, after: str | None = None, limit: int = 100
    ) -> Sequence[Launch]:
        """Read launches, newest first, then by id; `after` is the last id of the former page."""
        ...

    async def view(
        self, instance_id: str, *, at: datetime, tenant_limit: int | None = None
    ) -> InstanceView | None:
        """
        Read an instance with all its details; None if it is unknown.

        tenant_limit: as in `Offer`.
        """
        ...

    async def instances(
        self,
        which: InstanceQuery,
        *,
        order: InstanceOrder = InstanceOrder.CREATED_DESC,
        after: InstancePlace | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> Sequence[ListedInstance]:
        """Read a page of instances; with `after`, later pages cost as much as the first."""
        ...

    async def count_instances(self, which: InstanceQuery, *, limit: int | None = None) -> int:
        """Count instances, up to `limit`, which bounds the cost of counting."""
        ...

    async def metrics(
        self, tenant_id: str, *, since: datetime, until: datetime, period: timedelta
    ) -> Sequence[MetricsBucket]:
        """
        Return figures of a tenant's instances that finished from `since` to before `until`.

        There is a bucket for each period, of which the first begins at `since`; empty ones are left
        out.
        """
        ...

"""What environments need stored about launches, and the steps on instances that go with them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from runtara_domain.model.instance_views import (
    InstanceOrder,
    InstancePlace,
    InstanceQuery,
    InstanceView,
    ListedInstance,
    MetricsBucket,
)
from runtara_domain.model.launches import (
    Claims,
    Closed,
    Closing,
    InstanceStart,
    Judge,
    Launch,
    LaunchFilter,
    Offer,
    OpenLaunch,
    Started,
)
from runtara_domain.status import State

if TYPE_CHECKING:
    from runtara_domain.model.instance_copies import Copied, InstanceCopy, PutCopy
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


class Launches(Protocol):
    """
    Launches: at most one open launch an instance, from the claim that makes it until it is closed.

    Which instances are launchable is a condition on rows. No launch of it is open, `launch_after`
    has passed, it has an image or a workflow, and it is PENDING; or due and under no claim of a
    core; or RUNNING in a run whose launch has ended; or RUNNING in a run whose environment was
    lost, and silent; or RUNNING with an image, and silent.
    """

    async def start(
        self, start: InstanceStart, *, at: datetime, offer: Offer | None = None
    ) -> Started:
        """
        Keep a PENDING instance with its input and its image or workflow.

        The id is looked at before the image: the same id, tenant, image name or workflow, and input
        again is the same start, and nothing is changed. The image is looked for among the tenant's,
        not at its bytes or runner. Then an open instance with the deduplication key is looked for;
        if there is one, nothing is done: of concurrent callers with one key one creates. With an
        offer whose environment has a free slot, what the offer
        can launch first is claimed in the same step, which need not be this instance.
        """
        ...

    async def claim(self, offer: Offer, *, limit: int, at: datetime) -> Claims:
        """
        Claim launchable instances that the offer can run, and write their open launches.

        Highest priority first, then those that wait longest, then by id. Of concurrent callers each
        instance goes to one. Held and bounded ones are passed over without being read. Nothing is
        given without a good lease. An instance that was started by workflow name gets the newest
        image that serves it, and keeps it, or stays with workers if a worker claims it first.
        """
        ...

    async def mark_started(
        self, launch_id: str, *, handle: str | None = None, at: datetime
    ) -> bool:
        """
        Note that the process of an open launch runs, and how its placement finds it again.

        False if the launch is not open any more: the process is to be ended.
        """
        ...

    async def close(self, closing: Closing, judge: Judge, *, at: datetime) -> Closed:
        """
        Close an open launch and carry out the verdict on its instance, in one step.

        `judge` is called within the step with the instance's row as it is locked. Only an open
        launch is closed: of concurrent callers one closes it, and after another run or launch took
        the instance none does. The launch keeps its cause and figures, and the instance's figures
        grow by them, whatever the verdict is.
        """
        ...

    async def open_launches(self, environment_id: str, *, at: datetime) -> Sequence[OpenLaunch]:
        """
        Read the open launches of an environment with what it must act upon, the oldest first.

        A launch that is missing was closed because another run or launch took the instance: its
        process is to be ended.
        """
        ...

    async def stop(self, stop: Stop, *, at: datetime) -> Stopped:
        """
        Put in a cancel, with the end of its grace and the reason, unless it is finished.

        A PENDING instance is CANCELLED at once, with the reason. A stop again brings its end
        forward, never back.
        """
        ...

    async def end_stopped(
        self, *, patience: timedelta = timedelta(seconds=2), limit: int = 100, at: datetime
    ) -> Sequence[str]:
        """
        CANCEL open instances that no environment stops, `patience` after the stop.

        No environment: no launch of it is open, or its environment's lease is over. Tells the ids.
        """
        ...

    async def resume(self, instance_id: str, *, at: datetime) -> State | None:
        """
        Make a paused, sleeping, blocked or backing-off instance launchable now; tells how it stood.

        RUNNING: a pending pause is taken back. PENDING: only a back-off is ended. Finished: nothing
        is done. None if it is unknown.
        """
        ...

    async def end_waits(self, instance_ids: Collection[str]) -> None:
        """
        Make those of these instances launchable now that back off with the cause `waiting`.

        Those whose newest launch ended otherwise, or is open, stay as they are.
        """
        ...

    async def retry(self, retry: Retry, *, at: datetime) -> Retried:
        """
        Have a FAILED or CANCELLED instance go on, as `Instances.reopen`; of any that is not
        COMPLETED, clear back-off, stop and crash count, and close the open launch.
        """
        ...

    async def move(self, instance_id: str, image_id: str, *, at: datetime) -> Moved:
        """
        Give an open instance that has no open launch another image of its tenant.

        A blocked one becomes due.
        """
        ...

    async def fork(self, fork: Fork, *, at: datetime) -> Forked:
        """
        Keep a new PENDING instance with the input and a copy of the history of another one.

        Copied are the checkpoints up to the point, at most 100,000, with their deadlines and
        attempts, and all custom signals. The copy has no parent. Nothing is done where a child
        that was started before the point had not ended in that history.
        """
        ...

    async def delete(self, deletion: Deletion) -> Deleted:
        """
        Delete a finished instance with all that belongs to it, and with its children and theirs.

        Nothing is done while its parent or any of those children is open, or a launch of any of
        them is; nor unless it has ended as the deletion says.
        """
        ...

    async def copy(self, instance_id: str) -> Copied | None:
        """
        Take an instance with its history, all as of one moment; None if it is unknown.

        Raises InvalidValue, before it reads the history, for one of more than MOST_COPIED bytes.
        """
        ...

    async def put_copy(
        self, copy: InstanceCopy, source: str, *, image_id: str | None, at: datetime
    ) -> PutCopy:
        """
        Keep an instance as it was taken elsewhere, with an event that names its source.

        One that was open is PAUSED here: nothing launches it until it is resumed. Its former runs
        are over. It has no parent. image_id: what it runs here; None leaves it to its workflow's
        name. Where the id is taken nothing is changed.
        """
        ...

    async def page(
        self, which: LaunchFilter, *, after: str | None = None, limit: int = 100
    ) -> Sequence[Launch]:
        """Read launches, newest first, ties by id; `after` is the launch that the page before ended
        with.
        """
        ...

    async def view(
        self, instance_id: str, *, at: datetime, tenant_limit: int | None = None
    ) -> InstanceView | None:
        """
        Read all that is known of an instance; None if it is unknown.

        tenant_limit: as an `Offer` has it.
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
        """Read a part of a list of instances; behind `after`, however far that is, at no cost."""
        ...

    async def count_instances(self, which: InstanceQuery, *, limit: int | None = None) -> int:
        """Count instances, up to `limit`: however many there are, that costs no more."""
        ...

    async def metrics(
        self, tenant_id: str, *, since: datetime, until: datetime, period: timedelta
    ) -> Sequence[MetricsBucket]:
        """
        Sum up a tenant's instances that finished in each period from `since` to before `until`.

        Periods without any are left out. `since` begins the first period.
        """
        ...

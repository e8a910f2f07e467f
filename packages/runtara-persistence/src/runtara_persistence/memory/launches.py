"""Launches in memory, and the steps on instances that belong to launches."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from itertools import islice

from runtara_domain import values
from runtara_domain.model import FormerEnding
from runtara_domain.model.instance_copies import Copied, InstanceCopy, PutCopy
from runtara_domain.model.instance_lists import (
    InstanceOrder,
    InstancePlace,
    InstanceQuery,
    ListedInstance,
)
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
from runtara_domain.model.launch_ends import Cause
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
from runtara_domain.status import SignalType, State
from runtara_persistence.memory import (
    copying,
    deleting,
    forking,
    instance_lists,
    intervening,
    launching,
    records,
    starting,
)
from runtara_persistence.memory.rows import InstanceRow, LaunchRow
from runtara_persistence.memory.store import Store

_MILLISECOND = timedelta(milliseconds=1)


class MemoryLaunches:
    """Fits `runtara_domain.ports.launches.Launches`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def start(
        self, start: InstanceStart, *, at: datetime, offer: Offer | None = None
    ) -> Started:
        await self._store.yield_control()
        return starting.start(self._store, start, at, offer)

    async def claim(self, offer: Offer, *, limit: int, at: datetime) -> Claims:
        values.check_limit(limit)
        await self._store.yield_control()
        return launching.claim(self._store, offer, limit, at)

    async def mark_started(
        self, launch_id: str, *, handle: str | None = None, at: datetime
    ) -> bool:
        await self._store.yield_control()
        row = self._store.launches.get(launch_id)
        if row is None or row.closed_at is not None:
            return False
        row.started_at, row.handle = row.started_at or at, handle or row.handle
        return True

    async def close(self, closing: Closing, judge: Judge, *, at: datetime) -> Closed:
        await self._store.yield_control()
        return launching.close(self._store, closing, judge, at)

    async def open_launches(self, environment_id: str, *, at: datetime) -> Sequence[OpenLaunch]:
        await self._store.yield_control()
        rows = [
            row
            for row in launching.open_rows(self._store)
            if row.environment_id == environment_id and row.instance_id in self._store.instances
        ]
        rows.sort(key=lambda row: (row.created_at, row.launch_id))
        return [self._open_launch(row, at) for row in rows]

    async def stop(self, stop: Stop, *, at: datetime) -> Stopped:
        await self._store.yield_control()
        return intervening.stop(self._store, stop, at)

    async def end_stopped(
        self, *, patience: timedelta = timedelta(seconds=2), limit: int = 100, at: datetime
    ) -> Sequence[str]:
        values.check_limit(limit)
        await self._store.yield_control()
        due = [
            (row.stop_at, row.instance_id, row)
            for row in self._store.instances.values()
            if row.stop_at is not None
            and row.stop_at + patience <= at
            and not row.state.is_final
            and not self._is_watched(row, at)
        ]
        ended = [row for *_, row in sorted(due, key=lambda one: one[:2])[:limit]]
        for row in ended:
            intervening.cancel(self._store, row, row.stop_reason, at)
        return [row.instance_id for row in ended]

    async def resume(self, instance_id: str, *, at: datetime) -> State | None:
        values.check_storable("instance_id", instance_id)
        await self._store.yield_control()
        row = self._store.instances.get(instance_id)
        if row is None:
            return None
        before = row.state
        if before in (State.ASLEEP, State.PAUSED):
            launching.unblock(self._store, row, at)
        elif not before.is_final:
            if before is State.RUNNING:
                self._store.acknowledge(instance_id, {SignalType.PAUSE}, at)
            if row.backoff_ms is not None:
                row.launch_after = None
                self._store.watchers.tell_launchable()
        return before

    async def end_waits(self, instance_ids: Collection[str]) -> None:
        await self._store.yield_control()
        rows = self._store.instances
        for launch in self._store.launches.values():
            row = rows.get(launch.instance_id) if launch.instance_id in instance_ids else None
            is_newest = row is not None and row.launch_count == launch.number
            if row is None or not is_newest or launch.cause != Cause.WAITING:
                continue
            if row.launch_id is None and row.backoff_ms is not None:
                row.launch_after = None
                self._store.watchers.tell_launchable()

    async def retry(self, retry: Retry, *, at: datetime) -> Retried:
        await self._store.yield_control()
        row = self._store.instances.get(retry.instance_id)
        if row is None:
            return Retried(before=None)
        before = row.state
        if before is State.COMPLETED:
            return Retried(before=before)
        image_id = retry.image_id or launching.image_of(self._store, row)
        if image_id is not None and launching.image(self._store, image_id, row.tenant_id) is None:
            return Retried(before=before, image_is_found=False)
        closed_launch_id = launching.close_open_launch(self._store, row, at)
        set_aside: frozenset[str] = frozenset()
        if before.is_final:
            set_aside = self._reopen(row, retry, at)
        elif before is State.RUNNING and closed_launch_id is not None:
            row.ended_run = row.run_epoch
        row.image_id = image_id
        row.launch_after = row.backoff_ms = row.stop_at = row.stop_reason = None
        row.crashes = 0
        self._store.watchers.tell_launchable()
        return Retried(before=before, set_aside=set_aside, closed_launch_id=closed_launch_id)

    async def move(self, instance_id: str, image_id: str, *, at: datetime) -> Moved:
        values.check_id("image_id", image_id)
        values.check_storable("instance_id", instance_id)
        await self._store.yield_control()
        row = self._store.instances.get(instance_id)
        if row is None:
            return Moved(before=None)
        before = row.state
        if before.is_final:
            return Moved(before=before)
        if launching.image(self._store, image_id, row.tenant_id) is None:
            return Moved(before=before, image_is_found=False)
        if row.launch_id is not None:
            return Moved(before=before, open_launch_id=row.launch_id)
        row.image_id = image_id
        if row.blocked_reason is not None:
            launching.unblock(self._store, row, at)
        self._store.watchers.tell_launchable()
        return Moved(before=before)

    async def fork(self, fork: Fork, *, at: datetime) -> Forked:
        await self._store.yield_control()
        return forking.fork(self._store, fork, at)

    async def delete(self, deletion: Deletion) -> Deleted:
        values.check_storable("instance_id", deletion.instance_id)
        await self._store.yield_control()
        return deleting.delete(self._store, deletion)

    async def copy(self, instance_id: str) -> Copied | None:
        values.check_storable("instance_id", instance_id)
        await self._store.yield_control()
        return copying.take(self._store, instance_id)

    async def put_copy(
        self, copy: InstanceCopy, source: str, *, image_id: str | None, at: datetime
    ) -> PutCopy:
        await self._store.yield_control()
        return copying.put(self._store, copy, source, image_id, at)

    async def page(
        self, which: LaunchFilter, *, after: str | None = None, limit: int = 100
    ) -> Sequence[Launch]:
        values.check_limit(limit)
        await self._store.yield_control()
        rows = sorted(
            (
                row
                for row in self._store.launches.values()
                if which.instance_id in (None, row.instance_id)
                and which.environment_id in (None, row.environment_id)
                and (row.closed_at is None or not which.open_only)
            ),
            key=_launch_place,
        )
        last = None if after is None else self._store.launches.get(after)
        behind = None if last is None else _launch_place(last)
        rows = [row for row in rows if behind is None or _launch_place(row) > behind]
        return [records.launch(row, self._store.instances[row.instance_id]) for row in rows[:limit]]

    async def view(
        self, instance_id: str, *, at: datetime, tenant_limit: int | None = None
    ) -> InstanceView | None:
        values.check_storable("instance_id", instance_id)
        await self._store.yield_control()
        row = self._store.instances.get(instance_id)
        return None if row is None else instance_lists.view(self._store, row, at, tenant_limit)

    async def instances(
        self,
        which: InstanceQuery,
        *,
        order: InstanceOrder = InstanceOrder.CREATED_DESC,
        after: InstancePlace | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> Sequence[ListedInstance]:
        values.check_range("offset", offset, 0, values.MAX_INTEGER)
        values.check_limit(limit)
        await self._store.yield_control()
        return instance_lists.page(self._store, which, order, after, offset, limit)

    async def count_instances(self, which: InstanceQuery, *, limit: int | None = None) -> int:
        await self._store.yield_control()
        return len(list(islice(instance_lists.chosen(self._store, which), limit)))

    async def metrics(
        self, tenant_id: str, *, since: datetime, until: datetime, period: timedelta
    ) -> Sequence[MetricsBucket]:
        values.check_storable("tenant_id", tenant_id)
        await self._store.yield_control()
        return instance_lists.metrics(self._store, tenant_id, since, until, period)

    def _open_launch(self, launch: LaunchRow, at: datetime) -> OpenLaunch:
        row = self._store.instances[launch.instance_id]
        pending = self._store.unacknowledged(row.instance_id)
        is_held = row.is_claimed(at)
        due = [row.sleep_until] if row.sleep_until is not None and row.sleep_until <= at else []
        suspended = row.state in (State.ASLEEP, State.PAUSED)
        if pending is not None and suspended and self._store.is_sent_for(row):
            due.append(pending.created_at)
        return OpenLaunch(
            launch_id=launch.launch_id,
            instance_id=row.instance_id,
            tenant_id=row.tenant_id,
            environment_id=launch.environment_id,
            number=launch.number,
            created_at=launch.created_at,
            state=row.state,
            image_id=launch.image_id,
            workflow=launch.workflow,
            queue=launch.queue,
            started_at=launch.started_at,
            handle=launch.handle,
            run=launching.run_of_launch(row),
            timeout_at=launch.timeout_at,
            last_activity_at=launching.heard_at(row),
            sleep_until=row.sleep_until,
            due_since=min(due, default=None) if suspended and not is_held else None,
            is_sleep_held=is_held,
            pending_signal=None if pending is None else pending.signal_type,
            stop_at=row.stop_at,
            stop_reason=row.stop_reason,
        )

    def _is_watched(self, row: InstanceRow, at: datetime) -> bool:
        launch = self._store.launches.get(row.launch_id or "")
        return launch is not None and launching.is_living(self._store, launch.environment_id, at)

    def _reopen(self, row: InstanceRow, retry: Retry, at: datetime) -> frozenset[str]:
        former = FormerEnding(row.state, row.finished_at, row.output, row.error)
        self._store.add_event(row.instance_id, former.event(at))
        row.reopen(at)
        self._store.acknowledge(row.instance_id, SignalType, at)
        self._store.forget_ending(row)
        self._store.hear_children(row, at)
        return self._store.set_aside(row, retry.set_aside)


def _launch_place(row: LaunchRow) -> tuple[float, str]:
    return -row.created_at.timestamp(), row.launch_id

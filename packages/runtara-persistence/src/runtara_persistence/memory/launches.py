"""Launches in memory, and the steps on instances that belong to launches."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import islice

from runtara_domain import values
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
from runtara_persistence import records
from runtara_persistence.memory import (
    copying,
    deleting,
    forking,
    instance_lists,
    intervening,
    launching,
    starting,
)
from runtara_persistence.memory.closing import close
from runtara_persistence.memory.rows import InstanceRow, LaunchRow
from runtara_persistence.memory.store import OnStore, step

_MILLISECOND = timedelta(milliseconds=1)


class MemoryLaunches(OnStore):
    """Fits `runtara_domain.ports.launches.Launches`."""

    @step
    def start(self, start: InstanceStart, *, at: datetime, offer: Offer | None = None) -> Started:
        return starting.start(self._store, start, at, offer)

    @step
    def claim(self, offer: Offer, *, limit: int, at: datetime) -> Claims:
        values.check_limit(limit)
        return launching.claim(self._store, offer, limit, at)

    @step
    def mark_started(self, launch_id: str, *, handle: str | None = None, at: datetime) -> bool:
        row = self._store.launches.get(launch_id)
        if row is None or row.closed_at is not None:
            return False
        row.started_at, row.handle = row.started_at or at, handle or row.handle
        return True

    @step
    def close(self, closing: Closing, judge: Judge, *, at: datetime) -> Closed:
        return close(self._store, closing, judge, at)

    @step
    def open_launches(self, environment_id: str, *, at: datetime) -> Sequence[OpenLaunch]:
        rows = [
            row
            for row in launching.open_rows(self._store)
            if row.environment_id == environment_id and row.instance_id in self._store.instances
        ]
        rows.sort(key=lambda row: (row.created_at, row.launch_id))
        return [self._open_launch(row, at) for row in rows]

    @step
    def stop(self, stop: Stop, *, at: datetime) -> Stopped:
        return intervening.stop(self._store, stop, at)

    @step
    def end_stopped(
        self, *, patience: timedelta = timedelta(seconds=2), limit: int = 100, at: datetime
    ) -> Sequence[str]:
        values.check_limit(limit)
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

    @step
    def resume(self, instance_id: str, *, at: datetime) -> State | None:
        values.check_storable("instance_id", instance_id)
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

    @step
    def end_waits(self, instance_ids: Collection[str]) -> None:
        rows = self._store.instances
        for launch in self._store.launches.values():
            row = rows.get(launch.instance_id) if launch.instance_id in instance_ids else None
            is_newest = row is not None and row.launch_count == launch.number
            if row is None or not is_newest or launch.cause != Cause.WAITING:
                continue
            if row.launch_id is None and row.backoff_ms is not None:
                row.launch_after = None
                self._store.watchers.tell_launchable()

    @step
    def retry(self, retry: Retry, *, at: datetime) -> Retried:
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
            set_aside = self._store.reopen(row, retry.set_aside, at)
        elif before is State.RUNNING and closed_launch_id is not None:
            row.ended_run = row.run_epoch
        row.image_id = image_id
        row.launch_after = row.backoff_ms = row.stop_at = row.stop_reason = None
        row.crashes = 0
        self._store.watchers.tell_launchable()
        return Retried(before=before, set_aside=set_aside, closed_launch_id=closed_launch_id)

    @step
    def move(self, instance_id: str, image_id: str, *, at: datetime) -> Moved:
        values.check_id("image_id", image_id)
        values.check_storable("instance_id", instance_id)
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

    @step
    def fork(self, fork: Fork, *, at: datetime) -> Forked:
        return forking.fork(self._store, fork, at)

    @step
    def delete(self, deletion: Deletion) -> Deleted:
        values.check_storable("instance_id", deletion.instance_id)
        return deleting.delete(self._store, deletion)

    @step
    def copy(self, instance_id: str) -> Copied | None:
        values.check_storable("instance_id", instance_id)
        return copying.take(self._store, instance_id)

    @step
    def put_copy(
        self, copy: InstanceCopy, source: str, *, image_id: str | None, at: datetime
    ) -> PutCopy:
        return copying.put(self._store, copy, source, image_id, at)

    @step
    def page(
        self, which: LaunchFilter, *, after: str | None = None, limit: int = 100
    ) -> Sequence[Launch]:
        values.check_limit(limit)
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
        return [self._launch(row) for row in rows[:limit]]

    @step
    def view(
        self, instance_id: str, *, at: datetime, tenant_limit: int | None = None
    ) -> InstanceView | None:
        values.check_storable("instance_id", instance_id)
        row = self._store.instances.get(instance_id)
        return None if row is None else instance_lists.view(self._store, row, at, tenant_limit)

    @step
    def instances(
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
        return instance_lists.page(self._store, which, order, after, offset, limit)

    @step
    def count_instances(self, which: InstanceQuery, *, limit: int | None = None) -> int:
        return len(list(islice(instance_lists.chosen(self._store, which), limit)))

    @step
    def metrics(
        self, tenant_id: str, *, since: datetime, until: datetime, period: timedelta
    ) -> Sequence[MetricsBucket]:
        values.check_storable("tenant_id", tenant_id)
        return instance_lists.metrics(self._store, tenant_id, since, until, period)

    def _launch(self, row: LaunchRow) -> Launch:
        run = launching.run_of_launch(self._store.instances[row.instance_id])
        return records.record(Launch, row, run=run if row.closed_at is None else row.run)

    def _open_launch(self, launch: LaunchRow, at: datetime) -> OpenLaunch:
        row = self._store.instances[launch.instance_id]
        pending = self._store.unacknowledged(row.instance_id)
        is_due = row.state in (State.ASLEEP, State.PAUSED) and self._store.is_sent_for(row)
        columns = {
            **asdict(launch),
            "run": launching.run_of_launch(row),
            "last_activity_at": launching.heard_at(row),
            "sleep_until": row.sleep_until,
            "is_sleep_held": row.is_claimed(at),
            "pending_signal": None if pending is None else pending.signal_type,
            "told_at": pending.created_at if pending is not None and is_due else None,
            "stop_at": row.stop_at,
            "stop_reason": row.stop_reason,
        }
        return records.open_launch(columns, row.state, at)

    def _is_watched(self, row: InstanceRow, at: datetime) -> bool:
        launch = self._store.launches.get(row.launch_id or "")
        return launch is not None and launching.is_living(self._store, launch.environment_id, at)


def _launch_place(row: LaunchRow) -> tuple[float, str]:
    return -row.created_at.timestamp(), row.launch_id

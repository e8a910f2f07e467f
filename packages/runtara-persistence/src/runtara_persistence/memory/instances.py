"""Instances in memory."""

from collections.abc import Collection
from datetime import datetime

from runtara_domain.model import (
    Caller,
    Event,
    EventType,
    Instance,
    Registered,
    Registration,
    Standing,
)
from runtara_domain.status import MOVES, Condition, Move, SignalType
from runtara_persistence.memory.store import InstanceRow, Store


class MemoryInstances:
    """Fits `runtara_domain.ports.instances.Instances`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def register(
        self, registration: Registration, *, when: Condition, at: datetime
    ) -> Registered:
        await self._store.turn()
        row = self._store.instances.get(registration.instance_id)
        if row is None:
            return self._register_unknown(registration, at)
        before = row.standing
        checkpoint_exists = self._has_named_checkpoint(registration)
        owned = row.tenant_id == registration.tenant_id
        new_run = registration.continue_run is None
        if owned and checkpoint_exists and new_run and before.state in when:
            self._begin_run(row, at)
        return Registered(before, row.tenant_id, checkpoint_exists, row.run_epoch, row.input)

    async def get(self, instance_id: str) -> Instance | None:
        await self._store.turn()
        row = self._store.instances.get(instance_id)
        return None if row is None else _instance(row)

    async def standing(self, instance_id: str) -> Standing | None:
        await self._store.turn()
        row = self._store.instances.get(instance_id)
        return None if row is None else row.standing

    async def touch(self, callers: Collection[Caller], *, at: datetime) -> None:
        await self._store.turn()
        for caller in callers:
            row = self._store.instances.get(caller.instance_id)
            if row is None or row.state.is_final or row.standing.supersedes(caller):
                continue
            row.last_activity_at = max(at, row.last_activity_at or at)

    def _register_unknown(self, registration: Registration, at: datetime) -> Registered:
        unnamed = registration.checkpoint_id is None
        if not unnamed or registration.continue_run is not None:
            return Registered(None, registration.tenant_id, checkpoint_exists=unnamed, run=0)
        row = InstanceRow(
            instance_id=registration.instance_id, tenant_id=registration.tenant_id, created_at=at
        )
        self._store.instances[row.instance_id] = row
        self._begin_run(row, at)
        return Registered(None, row.tenant_id, checkpoint_exists=True, run=row.run_epoch)

    def _has_named_checkpoint(self, registration: Registration) -> bool:
        if registration.checkpoint_id is None:
            return True
        found = self._store.checkpoint(registration.instance_id, registration.checkpoint_id)
        return found is not None

    def _begin_run(self, row: InstanceRow, at: datetime) -> None:
        row.move(MOVES[Move.REGISTER].target, at)
        row.run_epoch += 1
        row.started_at = row.started_at or at
        row.last_activity_at = at
        self._store.acknowledge(row.instance_id, {SignalType.RESUME}, at)
        self._store.add_event(row.instance_id, Event(EventType.STARTED, b"", created_at=at))


def _instance(row: InstanceRow) -> Instance:
    return Instance(
        instance_id=row.instance_id,
        tenant_id=row.tenant_id,
        status=row.status,
        run=row.run_epoch,
        checkpoint_id=row.checkpoint_id,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        sleep_until=row.sleep_until,
        last_activity_at=row.last_activity_at,
        output=row.output,
        error=row.error,
        stderr=row.stderr,
        memory_peak_bytes=row.memory_peak_bytes,
        cpu_usage_usec=row.cpu_usage_usec,
    )

"""Events in memory, and the moves that come with some of them."""

from datetime import datetime

from runtara_domain.model import Caller, Ending, Event, Recorded
from runtara_domain.status import Condition, SignalType, settle
from runtara_persistence.memory.store import InstanceRow, Store


class MemoryEvents:
    """Fits `runtara_domain.ports.events.Events`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def append(
        self, caller: Caller, event: Event, *, when: Condition, at: datetime
    ) -> Recorded:
        await self._store.turn()
        row = self._store.instances.get(caller.instance_id)
        if row is None:
            return Recorded(before=None)
        before = row.standing
        if not before.admits(caller, when):
            return Recorded(before)
        self._store.add_event(caller.instance_id, event)
        if not before.state.is_final:
            row.last_activity_at = at
        return Recorded(before, after=before.state)

    async def end(
        self, caller: Caller, event: Event, ending: Ending, *, when: Condition, at: datetime
    ) -> Recorded:
        await self._store.turn()
        row = self._store.instances.get(caller.instance_id)
        if row is None:
            return Recorded(before=None)
        before = row.standing
        if not before.supersedes(caller) and _ended_so(row, ending):
            return Recorded(before, repeated=True, after=before.state)
        if not before.admits(caller, when):
            return Recorded(before)
        self._store.add_event(caller.instance_id, event)
        row.output, row.error, row.last_activity_at = ending.output, ending.error, at
        row.move(ending.state, at)
        return Recorded(before, after=ending.state)

    async def suspend(self, caller: Caller, event: Event, *, at: datetime) -> Recorded:
        await self._store.turn()
        row = self._store.instances.get(caller.instance_id)
        if row is None:
            return Recorded(before=None)
        before = row.standing
        signal = self._store.pending_signal(caller.instance_id)
        after = settle(before.state, None if signal is None else signal.type)
        if after is None or before.supersedes(caller):
            return Recorded(before)
        self._store.add_event(caller.instance_id, event)
        self._store.acknowledge(caller.instance_id, {SignalType.CANCEL, SignalType.PAUSE}, at)
        row.last_activity_at = at
        if after is not before.state:
            row.move(after, at)
        return Recorded(before, after=after)


def _ended_so(row: InstanceRow, ending: Ending) -> bool:
    return (row.state, row.output, row.error) == (ending.state, ending.output, ending.error)

"""The data of the in-memory adapter: rows with the tables' columns, and ways to find them."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from runtara_domain import values
from runtara_domain.error import DatabaseError
from runtara_domain.model import (
    Caller,
    Ending,
    Event,
    FormerEnding,
    RunState,
    Signal,
    child_signal_id,
    ending_signal,
)
from runtara_domain.model.limits import Hold, Limit
from runtara_domain.model.reopening import SET_ASIDE, aside
from runtara_domain.model.schedules import StoredSchedule
from runtara_domain.model.stored_environments import Environment
from runtara_domain.ports.clock import Clock
from runtara_domain.ports.persistence import LAUNCHABLE_WITHIN
from runtara_domain.status import Condition, SignalType, State
from runtara_domain.system_clock import SystemClock
from runtara_persistence.memory.rows import (
    AssociationRow,
    CheckpointRow,
    ChunkRow,
    CustomSignalRow,
    EventRow,
    ImageRow,
    InstanceRow,
    LaunchRow,
    SignalRow,
)
from runtara_persistence.memory.watchers import Watchers


@dataclass(slots=True)
class Store:
    """
    The tables as dicts: the key of each is the table's unique columns, in order of insertion.

    clock: the database's own clock, by which leases expire.
    """

    instances: dict[str, InstanceRow] = field(default_factory=dict)
    checkpoints: dict[tuple[str, str], CheckpointRow] = field(default_factory=dict)
    instance_events: list[EventRow] = field(default_factory=list)
    pending_signals: dict[str, SignalRow] = field(default_factory=dict)
    pending_checkpoint_signals: dict[tuple[str, str], CustomSignalRow] = field(default_factory=dict)
    images: dict[str, ImageRow] = field(default_factory=dict)
    image_chunks: dict[tuple[str, int], ChunkRow] = field(default_factory=dict)
    instance_images: dict[str, AssociationRow] = field(default_factory=dict)
    launches: dict[str, LaunchRow] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)
    limits: dict[tuple[str, str, str], Limit] = field(default_factory=dict)
    holds: dict[tuple[str, str, str], Hold] = field(default_factory=dict)
    schedules: dict[tuple[str, str], StoredSchedule] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)
    is_open: bool = False
    watchers: Watchers = field(default_factory=Watchers)
    _last_id: int = 0

    async def yield_control(self) -> None:
        """Let other callers go first, as a database would; raises DatabaseError when closed."""
        self.require_open()
        await asyncio.sleep(0)

    def require_open(self) -> None:
        """Raise DatabaseError when closed."""
        if not self.is_open:
            raise DatabaseError("The in-memory persistence is not open: use it in `async with`")

    def put_instance(self, row: InstanceRow) -> None:
        """Put in an instance; it replaces an instance with the same id."""
        self.instances[row.instance_id] = row
        is_waiting = row.state in (State.PENDING, State.ASLEEP, State.PAUSED)
        after = row.launch_after
        is_soon = after is None or after < row.created_at + LAUNCHABLE_WITHIN
        if row.launch_id is None and is_waiting and is_soon:
            self.watchers.tell_launchable()

    def tell_if_launchable(self, row: InstanceRow, at: datetime) -> None:
        """
        Tell environments, after a step has moved an instance, if they may soon launch it.

        They may if the instance is soon due and then unclaimed, if it is paused and a signal is
        pending for it, or if it is RUNNING and its process is gone.
        """
        soon = at + LAUNCHABLE_WITHIN
        is_over = row.sleep_until is not None and row.sleep_until < soon
        if row.state is State.ASLEEP and is_over and not row.is_claimed(soon):
            self.watchers.tell_launchable()
        if row.state is State.PAUSED and self.is_sent_for(row):
            self.watchers.tell_launchable()
        if row.state is State.RUNNING and row.launch_id is None and row.ended_run == row.run_epoch:
            self.watchers.tell_launchable()

    def tell_of_end(self, launch: LaunchRow, row: InstanceRow, at: datetime) -> None:
        """Tell of a closed launch, if it gives a place back or its instance goes on."""
        after = row.launch_after
        is_soon = after is None or after < at + LAUNCHABLE_WITHIN
        goes_on = row.launch_id is None and not row.state.is_final and is_soon
        if launch.is_bounded or goes_on:
            self.watchers.tell_launchable()

    def admitted(
        self, caller: Caller, when: Condition
    ) -> tuple[InstanceRow | None, RunState | None]:
        """
        Return the row of a caller's instance, None if it doesn't admit the caller, and its state.

        The state is None if the instance is unknown.
        """
        row = self.instances.get(caller.instance_id)
        before = None if row is None else row.run_state
        return (row if before is not None and before.admits(caller, when) else None), before

    def next_id(self) -> int:
        """Return the next number of a serial column; all tables share one series."""
        self._last_id += 1
        return self._last_id

    def checkpoint(self, instance_id: str, checkpoint_id: str) -> CheckpointRow | None:
        """Find a checkpoint, passing over the audit rows of retry attempts."""
        row = self.checkpoints.get((instance_id, checkpoint_id))
        return None if row is None or row.is_retry_attempt else row

    def last_cause(self, row: InstanceRow) -> str | None:
        """Return why the last launch was closed, if the instance is retried; else None."""
        over = (
            each
            for each in self.launches.values()
            if each.instance_id == row.instance_id and each.closed_at is not None
        )
        last = max(over, key=lambda each: each.number, default=None)
        return None if last is None or row.backoff_ms is None else last.cause

    def pending_signal(self, instance_id: str) -> Signal | None:
        """Return the signal that is not yet acknowledged; None if there is none."""
        row = self.unacknowledged(instance_id)
        return None if row is None else Signal(row.signal_type, row.payload or b"")

    def unacknowledged(self, instance_id: str) -> SignalRow | None:
        """Find the row of the signal that is not yet acknowledged; None if there is none."""
        row = self.pending_signals.get(instance_id)
        return None if row is None or row.acknowledged_at is not None else row

    def is_sent_for(self, row: InstanceRow) -> bool:
        """Whether a signal is pending that makes an instance launchable when it is suspended."""
        sent = self.unacknowledged(row.instance_id)
        if sent is None or sent.signal_type is SignalType.PAUSE:
            return False
        return not row.was_blocked_with(sent)

    def acknowledge(self, instance_id: str, types: Iterable[SignalType], at: datetime) -> None:
        """Acknowledge the pending signal, if it has one of these types."""
        row = self.pending_signals.get(instance_id)
        if row is not None and row.acknowledged_at is None and row.signal_type in types:
            row.acknowledged_at = at

    def custom_signal(self, instance_id: str, checkpoint_id: str) -> bytes | None:
        """Return the payload that was sent for a checkpoint; None if none was sent."""
        row = self.pending_checkpoint_signals.get((instance_id, checkpoint_id))
        return None if row is None else row.payload or b""

    def custom_signals(self, instance_id: str, checkpoint_ids: Iterable[str]) -> dict[str, bytes]:
        """Return the first payloads sent for these checkpoints, as many as one poll returns."""
        keys = {(instance_id, checkpoint_id) for checkpoint_id in checkpoint_ids}
        rows = [self.pending_checkpoint_signals.get(key) for key in keys]
        told: dict[str, bytes] = {}
        size = 0
        for row in sorted(filter(None, rows), key=lambda row: row.id):
            payload = row.payload or b""
            size += len(payload)
            if told and size > values.MAX_POLLED_BYTES:
                break
            told[row.checkpoint_id] = payload
        return told

    def holds_in_order(self) -> list[Hold]:
        """Return the holds, the oldest first."""
        places = sorted((_since(hold), key) for key, hold in self.holds.items())
        return [self.holds[key] for _, key in places]

    def add_event(self, instance_id: str, event: Event) -> None:
        """Store an event."""
        row = EventRow(
            id=self.next_id(),
            instance_id=instance_id,
            event_type=event.type,
            checkpoint_id=event.checkpoint_id,
            payload=event.payload,
            subtype=event.subtype,
            created_at=event.created_at,
        )
        self.instance_events.append(row)

    def delete(self, instance_ids: Collection[str]) -> None:
        """Delete instances with all rows that belong to them."""
        gone = set(instance_ids)
        self.instance_events = [row for row in self.instance_events if row.instance_id not in gone]
        self.instances = _without(gone, self.instances)
        self.checkpoints = _without(gone, self.checkpoints)
        self.pending_signals = _without(gone, self.pending_signals)
        self.pending_checkpoint_signals = _without(gone, self.pending_checkpoint_signals)
        self.launches = _without(gone, self.launches)
        self.instance_images = _without(gone, self.instance_images)

    def forget_image(self, image_id: str) -> None:
        """Delete an image's row with all rows that belong to it."""
        del self.images[image_id]
        self.instance_images = {
            key: row for key, row in self.instance_images.items() if row.image_id != image_id
        }

    def put_signal(self, row: SignalRow) -> None:
        """Put in a signal; it replaces the instance's former signal."""
        self.pending_signals[row.instance_id] = row
        self.watchers.tell(row.instance_id)
        if row.acknowledged_at is None and row.signal_type is not SignalType.PAUSE:
            self.watchers.tell_launchable()

    def put_custom_signal(self, row: CustomSignalRow) -> None:
        """Put in a custom signal."""
        self.pending_checkpoint_signals[row.instance_id, row.checkpoint_id] = row
        self.watchers.tell(row.instance_id)

    def end(self, row: InstanceRow, ending: Ending, at: datetime) -> None:
        """End an instance; if its parent has not ended, send the parent the ending."""
        row.move(ending.state, at)
        parent = None if row.parent_id is None else self.instances.get(row.parent_id)
        if parent is None or parent.state.is_final or parent.tenant_id != row.tenant_id:
            return
        checkpoint_id, payload = ending_signal(row.instance_id, ending)
        if self.custom_signal(parent.instance_id, checkpoint_id) is not None:
            return
        parent.make_due(at)
        self.tell_if_launchable(parent, at)
        self._put_ending(parent, checkpoint_id, payload, at)

    def forget_ending(self, row: InstanceRow) -> None:
        """Delete the ending that was sent to an instance's parent, if the parent has not ended."""
        parent = None if row.parent_id is None else self.instances.get(row.parent_id)
        if parent is not None and not parent.state.is_final and parent.tenant_id == row.tenant_id:
            key = parent.instance_id, child_signal_id(row.instance_id)
            self.pending_checkpoint_signals.pop(key, None)

    def hear_children(self, row: InstanceRow, at: datetime) -> None:
        """Send an instance its children's endings, and delete those of children open again."""
        family = (row.instance_id, row.tenant_id)
        children = [
            one for one in self.instances.values() if (one.parent_id, one.tenant_id) == family
        ]
        for child in sorted(children, key=lambda one: one.instance_id):
            if child.state.is_final:
                self._hear_ended(row, child, at)
            else:
                self.forget_ending(child)

    def _hear_ended(self, row: InstanceRow, child: InstanceRow, at: datetime) -> None:
        ending = Ending(child.state, child.output, child.error)
        checkpoint_id, payload = ending_signal(child.instance_id, ending)
        heard = self.pending_checkpoint_signals.get((row.instance_id, checkpoint_id))
        if heard is None:
            self._put_ending(row, checkpoint_id, payload, at)
        elif heard.payload != payload:
            heard.payload, heard.created_at = payload, at

    def _put_ending(
        self, parent: InstanceRow, checkpoint_id: str, payload: bytes, at: datetime
    ) -> None:
        told = CustomSignalRow(
            id=self.next_id(),
            instance_id=parent.instance_id,
            checkpoint_id=checkpoint_id,
            payload=payload,
            created_at=at,
        )
        self.put_custom_signal(told)

    def reopen(self, row: InstanceRow, set_aside: Iterable[str], at: datetime) -> frozenset[str]:
        """Let a finished instance go on, and keep how it ended; return what was set aside."""
        former = FormerEnding(row.state, row.finished_at, row.output, row.error)
        self.add_event(row.instance_id, former.event(at))
        row.reopen(at)
        self.acknowledge(row.instance_id, SignalType, at)
        self.forget_ending(row)
        self.hear_children(row, at)
        return self.set_aside(row, set_aside)

    def set_aside(self, row: InstanceRow, checkpoint_ids: Iterable[str]) -> frozenset[str]:
        """Turn checkpoints and their attempts into audit rows; return the ids that were found."""
        found = {each for each in checkpoint_ids if self.checkpoint(row.instance_id, each)}
        for checkpoint_id in found:
            for kept in list(self.checkpoints.values()):
                if kept.instance_id == row.instance_id and kept.belongs_to(checkpoint_id):
                    self._set_aside(kept, checkpoint_id, row.run_epoch)
        if row.checkpoint_id in found:
            left = (
                kept
                for kept in self.checkpoints.values()
                if kept.instance_id == row.instance_id and not kept.is_retry_attempt
            )
            newest = max(left, key=lambda kept: kept.id, default=None)
            row.checkpoint_id = None if newest is None else newest.checkpoint_id
        return frozenset(found)

    def _set_aside(self, kept: CheckpointRow, checkpoint_id: str, run: int) -> None:
        del self.checkpoints[kept.instance_id, kept.checkpoint_id]
        if not kept.is_retry_attempt:
            kept.is_retry_attempt, kept.attempt_number = True, 0
            kept.error_message = SET_ASIDE
        kept.checkpoint_id = aside(checkpoint_id, run, kept.attempt_number or 0)
        self.checkpoints[kept.instance_id, kept.checkpoint_id] = kept


class OnStore:
    """A class with methods that are steps on a store."""

    def __init__(self, store: Store) -> None:
        self._store = store


P = ParamSpec("P")
T = TypeVar("T")
Noun = TypeVar("Noun", bound=OnStore)


def step(
    method: Callable[Concatenate[Noun, P], T],
) -> Callable[Concatenate[Noun, P], Coroutine[Any, Any, T]]:
    """
    Make a method of a step: first other callers go on, as with a database.

    Then the step runs without an await, and so is atomic. Raises DatabaseError when closed.
    """

    @wraps(method)
    async def atomic(self: Noun, /, *args: P.args, **options: P.kwargs) -> T:
        await self._store.yield_control()
        return method(self, *args, **options)

    return atomic


def _since(hold: Hold) -> datetime:
    return hold.created_at or datetime.max.replace(tzinfo=UTC)


class _Belonging(Protocol):
    instance_id: str


_Key = TypeVar("_Key")
_Row = TypeVar("_Row", bound=_Belonging)


def _without(gone: set[str], rows: dict[_Key, _Row]) -> dict[_Key, _Row]:
    return {key: row for key, row in rows.items() if row.instance_id not in gone}

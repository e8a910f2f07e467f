"""What the in-memory adapter holds: rows with the columns of the tables, and ways to find them."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from runtara_domain.error import DatabaseError
from runtara_domain.model import Event, EventType, Signal, Standing
from runtara_domain.status import InstanceStatus, SignalType, State


@dataclass(kw_only=True, slots=True)
class InstanceRow:
    """A row of `instances`."""

    instance_id: str
    tenant_id: str
    definition_version: int = 1
    status: InstanceStatus = InstanceStatus.PENDING
    checkpoint_id: str | None = None
    attempt: int = 1
    max_attempts: int = 3
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    sleep_until: datetime | None = None
    output: bytes | None = None
    error: str | None = None
    memory_peak_bytes: int | None = None
    cpu_usage_usec: int | None = None
    stderr: str | None = None
    input: bytes | None = None
    run_epoch: int = 0
    last_activity_at: datetime | None = None
    wake_claim_until: datetime | None = None
    wake_claim_by: str | None = None

    @property
    def state(self) -> State:
        """The status, with the two faces of SUSPENDED told apart."""
        return State.of(self.status, self.sleep_until)

    @property
    def standing(self) -> Standing:
        """How it stands now."""
        return Standing(self.state, self.run_epoch)

    def move(self, state: State, at: datetime) -> None:
        """Take a state that is not asleep: nothing waits to wake it any more."""
        self.status = state.status
        self.sleep_until = self.wake_claim_until = self.wake_claim_by = None
        if state.is_final:
            self.finished_at = at


@dataclass(kw_only=True, slots=True)
class CheckpointRow:
    """A row of `checkpoints`; is_retry_attempt: an audit row, never a checkpoint."""

    id: int
    instance_id: str
    checkpoint_id: str
    state: bytes
    created_at: datetime
    is_retry_attempt: bool = False
    attempt_number: int | None = None
    error_message: str | None = None
    wake_at: datetime | None = None


@dataclass(kw_only=True, slots=True)
class EventRow:
    """A row of `instance_events`."""

    id: int
    instance_id: str
    event_type: EventType
    checkpoint_id: str | None = None
    payload: bytes | None = None
    subtype: str | None = None
    created_at: datetime


@dataclass(kw_only=True, slots=True)
class SignalRow:
    """A row of `pending_signals`; pending until `acknowledged_at` is set."""

    instance_id: str
    signal_type: SignalType
    payload: bytes | None = None
    created_at: datetime
    acknowledged_at: datetime | None = None


@dataclass(kw_only=True, slots=True)
class CustomSignalRow:
    """A row of `pending_checkpoint_signals`."""

    id: int
    instance_id: str
    checkpoint_id: str
    payload: bytes | None = None
    created_at: datetime


@dataclass(slots=True)
class Store:
    """
    The tables, each keyed by what is unique in it, in order of insertion.

    A step waits for `turn` once, then reads and writes without another await: so it is atomic.
    """

    instances: dict[str, InstanceRow] = field(default_factory=dict)
    checkpoints: dict[tuple[str, str], CheckpointRow] = field(default_factory=dict)
    instance_events: list[EventRow] = field(default_factory=list)
    pending_signals: dict[str, SignalRow] = field(default_factory=dict)
    pending_checkpoint_signals: dict[tuple[str, str], CustomSignalRow] = field(default_factory=dict)
    is_open: bool = False
    _ids: Iterator[int] = field(default_factory=lambda: count(1))

    async def turn(self) -> None:
        """Let other callers go first, as a database would; raises DatabaseError when closed."""
        if not self.is_open:
            raise DatabaseError("The in-memory persistence is not open: use it in `async with`")
        await asyncio.sleep(0)

    def next_id(self) -> int:
        """Give the next number of a serial column; one series serves all tables."""
        return next(self._ids)

    def checkpoint(self, instance_id: str, checkpoint_id: str) -> CheckpointRow | None:
        """Find a checkpoint, passing over the audit rows of retry attempts."""
        row = self.checkpoints.get((instance_id, checkpoint_id))
        return None if row is None or row.is_retry_attempt else row

    def pending_signal(self, instance_id: str) -> Signal | None:
        """Tell the signal that waits to be acknowledged."""
        row = self.pending_signals.get(instance_id)
        if row is None or row.acknowledged_at is not None:
            return None
        return Signal(row.signal_type, row.payload or b"")

    def acknowledge(self, instance_id: str, types: Iterable[SignalType], at: datetime) -> None:
        """Settle the pending signal, if there is one of these types."""
        row = self.pending_signals.get(instance_id)
        if row is not None and row.acknowledged_at is None and row.signal_type in types:
            row.acknowledged_at = at

    def custom_signal(self, instance_id: str, checkpoint_id: str) -> bytes | None:
        """Tell the payload that was sent for a checkpoint."""
        row = self.pending_checkpoint_signals.get((instance_id, checkpoint_id))
        return None if row is None else row.payload or b""

    def add_event(self, instance_id: str, event: Event) -> None:
        """Keep an event."""
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

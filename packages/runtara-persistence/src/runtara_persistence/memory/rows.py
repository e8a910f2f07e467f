"""The rows that the in-memory adapter holds, with the columns of the tables."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runtara_domain.model import Claim, EventType, RunState, owner
from runtara_domain.model.launch_ends import LaunchEnd
from runtara_domain.status import InstanceStatus, SignalType, State


class TableRow:
    """A row, whose columns are also found by their names."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


@dataclass(kw_only=True, slots=True)
class InstanceRow(TableRow):
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
    workflow: str | None = None
    code_version: str | None = None
    parent_id: str | None = None
    launch_id: str | None = None
    waits: str | None = None
    blocked_signal_at: datetime | None = None
    image_id: str | None = None
    priority: int = 0
    queue: str | None = None
    dedupe_key: str | None = None
    launch_after: datetime | None = None
    timeout_ms: int | None = None
    launch_count: int = 0
    launch_sends_id: bool = False
    ended_run: int | None = None
    lost_run: int | None = None
    crashes: int = 0
    backoff_ms: int | None = None
    judged_checkpoint_id: str | None = None
    stop_at: datetime | None = None
    stop_reason: str | None = None
    env: str | None = None
    progress: bytes | None = None

    @property
    def state(self) -> State:
        """The status, with SUSPENDED divided into asleep and paused."""
        return State.of(self.status, self.sleep_until)

    @property
    def run_state(self) -> RunState:
        """The state and the run's number."""
        return RunState(self.state, self.run_epoch)

    @property
    def blocked_reason(self) -> str | None:
        """Why the instance is blocked; None if it isn't blocked."""
        return self.error if self.state is State.PAUSED else None

    def move(self, state: State, at: datetime) -> None:
        """Move to a state other than asleep; the deadline and the claim to wake it are cleared."""
        self.status = state.status
        self.sleep_until = self.wake_claim_until = self.wake_claim_by = self.waits = None
        if state.is_final:
            self.finished_at = at

    def block(self, reason: str, told: "SignalRow | None", at: datetime) -> None:
        """Pause for this reason; the signal pending now no longer makes the instance due."""
        if self.blocked_reason is None:
            self.blocked_signal_at = None if told is None else told.created_at
        self.move(State.PAUSED, at)
        self.error = reason

    def reopen(self, at: datetime) -> None:
        """Make the instance asleep and due under a new run number; clear how it had ended."""
        self.move(State.ASLEEP, at)
        self.sleep_until = at
        self.run_epoch += 1
        self.finished_at = self.output = self.error = self.blocked_signal_at = None

    def was_blocked_with(self, told: "SignalRow") -> bool:
        """Whether this signal was pending when the instance blocked: it makes nothing due."""
        return self.state is State.PAUSED and self.blocked_signal_at == told.created_at

    def show_life(self, at: datetime) -> None:
        """Move the last activity forward; a late message never moves it backward."""
        self.last_activity_at = max(at, self.last_activity_at or at)

    def fall_asleep(self, until: datetime) -> None:
        """Make the instance asleep until a moment."""
        self.status, self.sleep_until = State.ASLEEP.status, until

    def make_due(self, at: datetime) -> None:
        """Let the instance sleep until this moment at most, if it is asleep."""
        if self.state is State.ASLEEP:
            self.sleep_until = min(at, self.sleep_until or at)

    def claim(self, claim: Claim) -> None:
        """Give the right to wake the instance to a new holder."""
        self.wake_claim_by, self.wake_claim_until = claim.token, claim.until

    def is_claimed(self, at: datetime) -> bool:
        """Whether a claim has not expired; a claim that was given back has no holder."""
        if self.wake_claim_by is None or self.wake_claim_until is None:
            return False
        return self.wake_claim_until > at

    def is_anothers(self, token: str, at: datetime) -> bool:
        """Whether an owner other than this token's has a claim that has not expired."""
        holder = self.wake_claim_by
        return holder is not None and self.is_claimed(at) and owner(holder) != owner(token)


@dataclass(kw_only=True, slots=True)
class CheckpointRow(TableRow):
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

    def belongs_to(self, checkpoint_id: str) -> bool:
        """Whether this row is the checkpoint, or a retry attempt recorded for it."""
        attempt = f"{checkpoint_id}::retry::{self.attempt_number}"
        return self.checkpoint_id == (attempt if self.is_retry_attempt else checkpoint_id)


@dataclass(kw_only=True, slots=True)
class EventRow(TableRow):
    """A row of `instance_events`."""

    id: int
    instance_id: str
    event_type: EventType
    checkpoint_id: str | None = None
    payload: bytes | None = None
    subtype: str | None = None
    created_at: datetime


@dataclass(kw_only=True, slots=True)
class SignalRow(TableRow):
    """A row of `pending_signals`; pending until `acknowledged_at` is set."""

    instance_id: str
    signal_type: SignalType
    payload: bytes | None = None
    created_at: datetime
    acknowledged_at: datetime | None = None


@dataclass(kw_only=True, slots=True)
class CustomSignalRow(TableRow):
    """A row of `pending_checkpoint_signals`."""

    id: int
    instance_id: str
    checkpoint_id: str
    payload: bytes | None = None
    created_at: datetime


@dataclass(kw_only=True, slots=True)
class ImageRow(TableRow):
    """A row of `images`; metadata is JSON."""

    image_id: str
    tenant_id: str
    name: str
    description: str | None = None
    binary_path: str | None = None
    bundle_path: str | None = None
    runner_type: str = "oci"
    created_at: datetime
    updated_at: datetime | None = None
    metadata: str | None = None
    version: int = 1
    sha256: str | None = None
    size_bytes: int | None = None
    is_current: bool = True
    deleted_at: datetime | None = None
    upload_id: str | None = None
    problem: str | None = None


@dataclass(kw_only=True, slots=True)
class ChunkRow(TableRow):
    """A row of `image_chunks`."""

    upload_id: str
    position: int
    data: bytes
    created_at: datetime


@dataclass(kw_only=True, slots=True)
class AssociationRow(TableRow):
    """A row of `instance_images`; env is JSON."""

    instance_id: str
    image_id: str
    tenant_id: str
    created_at: datetime
    env: str | None = None


@dataclass(kw_only=True, slots=True)
class LaunchRow(TableRow):
    """A row of `launches`; it is open until `closed_at` is set."""

    launch_id: str
    instance_id: str
    number: int
    environment_id: str
    tenant_id: str
    created_at: datetime
    image_id: str | None = None
    image_name: str | None = None
    workflow: str | None = None
    queue: str | None = None
    runner: str | None = None
    placement: str | None = None
    timeout_at: datetime | None = None
    is_bounded: bool = False
    started_at: datetime | None = None
    handle: str | None = None
    closed_at: datetime | None = None
    run: int | None = None
    cause: str | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    memory_peak_bytes: int | None = None
    cpu_usage_usec: int | None = None
    stderr: str | None = None
    verdict: str | None = None

    def set_end(self, end: LaunchEnd) -> None:
        """Write how the launch's process ended."""
        self.cause = end.cause
        self.exit_code, self.exit_signal = end.exit_code, end.signal
        self.memory_peak_bytes, self.cpu_usage_usec = end.memory_peak_bytes, end.cpu_usage_usec
        self.stderr = end.stderr or None

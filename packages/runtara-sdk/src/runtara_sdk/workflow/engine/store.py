"""The port through which the workflow layer uses the core."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from runtara_sdk.client.records import NewChild, SignalType
from runtara_sdk.workflow.engine.outcome import Ended

State: TypeAlias = tuple[str, bytes]
"""A key, and the state to save under it."""


@dataclass(frozen=True, slots=True)
class Polled:
    """The pending signal, and the values sent to the names that the poll asked for."""

    signal: SignalType | None = None
    values: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunStarted:
    """
    A run that has begun.

    `states` holds every saved state by its key; None: the core can't list them, so each is read by
    itself. `run`: the run's number, counted from 1; None: the core does not number runs.
    `pending`: the signal that was pending when the run began, or the answer of a poll without names
    since; None: neither is known. `keeps_input`: the core keeps what a start record says until
    there is one, so that `save` may bring it later, as `preceding`; `pending` is then known.
    `saves_together`: `save` takes many `preceding` states in one request.
    `starts_together`: the core knows `start_children`.
    """

    input: bytes | None
    states: Mapping[str, bytes] | None
    run: int | None = None
    pending: Polled | None = None
    keeps_input: bool = False
    saves_together: bool = False
    starts_together: bool = False


@dataclass(frozen=True, slots=True)
class Saved:
    """The state that is now saved under a key, and the pending signal."""

    state: bytes
    signal: SignalType | None = None


@dataclass(frozen=True, slots=True)
class SavedTogether:
    """The states that are stored now, in the order of the keys, and the pending signal."""

    states: Sequence[bytes]
    signal: SignalType | None = None


class DurableStore(Protocol):
    """
    One instance, as the core keeps it. Keys are 1 to 1024 bytes of UTF-8.

    The effect of a call that returns is durable. A call is repeated while the core is out of reach.
    It raises CoreUnavailable when that lasts for the workflow's `core_timeout` (the call may have
    taken effect), Superseded if a newer run has begun, InvalidInstanceState if the instance has
    ended or is paused.
    """

    @property
    def instance_id(self) -> str: ...

    async def begin(self) -> RunStarted:
        """Begin a run, creating the instance if it is unknown."""
        ...

    async def ended(self) -> Ended | None:
        """Return how the instance has ended: DONE, FAILED or CANCELLED; None: it has not ended."""
        ...

    async def save(self, key: str, state: bytes, preceding: Sequence[State] = ()) -> Saved:
        """
        Save a state unless the key has one; the first state saved stays.

        `preceding`: others, which are saved before in the same way, one after the other.
        """
        ...

    async def read(self, key: str) -> bytes | None:
        """Read a state without saving one; None if the key has no state."""
        ...

    async def attempt_failed(self, key: str, number: int, error: str) -> None:
        """Record a failed attempt, counted from 1; the same number again overwrites the record."""
        ...

    async def suspend_until(
        self, key: str, state: bytes, wake: datetime, waits: str = "[]"
    ) -> bool:
        """
        Put the instance to sleep until a moment, so that its process may end.

        `waits`: the instance's waits, as a JSON list.

        Returns True if the instance is asleep now; False if it is not, because the moment has come
        or a cancel is pending.
        """
        ...

    async def poll(self, names: Collection[str], wait: timedelta) -> Polled:
        """
        Read the pending signal, and the values sent to these names; wait until there is something.

        One poll may not bring all values: a poll without the names that came brings the others. A
        cancelled poll leaves nothing behind.
        """
        ...

    async def acknowledge(self, signal: SignalType) -> bool:
        """
        Carry a signal out: CANCEL ends the instance, PAUSE pauses it, RESUME changes nothing.

        Returns False if another signal was pending; nothing has changed then.
        """
        ...

    async def create_successor(self, instance_id: str, key: str, state: bytes) -> None:
        """Create an instance with its first checkpoint, unless it exists with that checkpoint."""
        ...

    async def report(self, waits: str | None, progress: bytes | None) -> None:
        """
        Report the running instance's waits and progress; None keeps the former value.

        A core that is too old for this stores neither of them.
        """
        ...

    async def start_child(self, child_id: str, workflow: str, input: bytes | None) -> None:
        """
        Create an instance as a child of this one; if that child exists already, it stays as it is.

        When the child ends, its end is sent to this instance, under `child_signal` of its id.
        Raises InstanceAlreadyExists if the id belongs to another instance, or to another child.
        """
        ...

    async def start_children(
        self, children: Sequence[NewChild], states: Sequence[State]
    ) -> SavedTogether:
        """
        Start children as `start_child` does and save states as `save` does: all or nothing.

        Raises InstanceAlreadyExists as that does, ValidationFailed for what the core does not take,
        and RequestNotKnown if it starts no children together; nothing has been stored then.
        """
        ...

    async def cancel_child(self, child_id: str) -> None:
        """Send a child a cancel; a child that has ended, or was never started, stays as it is."""
        ...

    async def ended_child(self, child_id: str) -> Ended | None:
        """Return how a child ended, with its whole output; None: it has not, or is unknown."""
        ...

    async def complete(self, output: bytes) -> None:
        """End the instance with its output."""
        ...

    async def fail(self, error: str, failure: bytes | None = None) -> None:
        """End the instance with an error; `failure` is for programs, and kept as its output."""
        ...

    async def block(self, reason: str) -> None:
        """Suspend the instance until its code has changed, or an operator resumes it."""
        ...

"""The port: what the workflow layer needs of the core."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from runtara_sdk.client.records import SignalType
from runtara_sdk.workflow.engine.outcome import Ended


@dataclass(frozen=True, slots=True)
class Polled:
    """The signal that is pending, and the values sent to the names asked for."""

    signal: SignalType | None = None
    values: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunStarted:
    """
    A run that has begun.

    `states` is every state that is saved, by key; None: the core can't list them, so that each is
    read by itself. `run`: its number, counted from 1; None: the core does not number runs.
    `pending`: what a poll without names gave since it began; None: there was none yet.
    """

    input: bytes | None
    states: Mapping[str, bytes] | None
    run: int | None = None
    pending: Polled | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """The state that stands under a key now, and the signal that is pending."""

    state: bytes
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
        """Return how the instance has ended: DONE, FAILED or CANCELLED; None: it has not."""
        ...

    async def save(self, key: str, state: bytes) -> Saved:
        """Save a state unless there is one; the first one saved stands."""
        ...

    async def read(self, key: str) -> bytes | None:
        """Read a state without saving one; None if there is none."""
        ...

    async def attempt_failed(self, key: str, number: int, error: str) -> None:
        """Record a failed attempt, counted from 1; the same again overwrites it."""
        ...

    async def suspend_until(
        self, key: str, state: bytes, wake: datetime, waits: str = "[]"
    ) -> bool:
        """
        Put the instance to sleep until then, so that its process may end.

        `waits`: what it waits for, as the core keeps it.

        True: it is asleep now. False: it is not, because the time has come or a cancel is pending.
        """
        ...

    async def poll(self, names: Collection[str], wait: timedelta) -> Polled:
        """
        Read what is pending, and what was sent to these names; held until there is something.

        Not all may come at once: asked without those that came, it brings the others. Cancelled, it
        leaves nothing behind.
        """
        ...

    async def acknowledge(self, signal: SignalType) -> bool:
        """
        Carry a signal out: CANCEL ends the instance, PAUSE pauses it, RESUME changes nothing.

        False: another signal was pending, and nothing has changed.
        """
        ...

    async def create_successor(self, instance_id: str, key: str, state: bytes) -> None:
        """Create an instance with its first checkpoint; one that has it is left as it is."""
        ...

    async def report(self, waits: str | None, progress: bytes | None) -> None:
        """
        Show what the running instance waits for, and its progress; None leaves what is shown.

        A core that is too old for it keeps neither.
        """
        ...

    async def start_child(self, child_id: str, workflow: str, input: bytes | None) -> None:
        """
        Create an instance as a child of this one; the same child again is left as it is.

        How it ends is sent to this instance, under `child_signal` of its id. Raises
        InstanceAlreadyExists where the id is that of another instance, or of another child.
        """
        ...

    async def cancel_child(self, child_id: str) -> None:
        """Tell a child to cancel; one that has ended, or was never started, is left as it is."""
        ...

    async def ended_child(self, child_id: str) -> Ended | None:
        """Return how a child has ended, with all of its output; None: it has not, or is unknown."""
        ...

    async def complete(self, output: bytes) -> None:
        """End the instance with its output."""
        ...

    async def fail(self, error: str, failure: bytes | None = None) -> None:
        """End the instance with what went wrong; `failure` is for programs, kept as its output."""
        ...

    async def block(self, reason: str) -> None:
        """Suspend the instance until its code has changed, or it is resumed."""
        ...

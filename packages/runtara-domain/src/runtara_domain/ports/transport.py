"""What the core offers to the adapters that carry requests to it, and what it expects of them."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from runtara_domain import values
from runtara_domain.error import CoreError
from runtara_domain.model import (
    Caller,
    Checkpoint,
    CheckpointPage,
    CheckpointWrite,
    Event,
    Instance,
    NewChild,
    Pending,
    Registered,
    Registration,
    Report,
    RetryAttempt,
    Saved,
    Sleep,
)
from runtara_domain.sessions import Session
from runtara_domain.status import SignalType

OnAbandoned: TypeAlias = Callable[[Callable[[], None]], AbstractContextManager[None]]
"""Calls what it is given when, within the block, the client gives the answer up."""


def never_abandoned(call: Callable[[], None]) -> AbstractContextManager[None]:
    """Promise that the client wants the answer for as long as its session lasts."""
    return nullcontext()


def ignore() -> None:
    """Take no notice."""


@dataclass(frozen=True, slots=True)
class Request:
    """
    What a transport tells of a request, beside the message.

    session: that of the connection it came on. on_abandoned: tells when the client gives the
    answer up, so that nothing is waited for. on_stored: called when nothing of the message is held
    any more, if the answer is to come long after that.
    """

    session: Session
    on_abandoned: OnAbandoned = never_abandoned
    on_stored: Callable[[], None] = ignore


class Operations(Protocol):
    """
    The operations instances may ask for.

    Each raises a CoreError when it is refused, and nothing of it is stored then; besides those
    named InstanceNotFound, InstanceSuperseded (a newer run than the caller's has registered) and
    DatabaseError. What returns is durable.
    """

    def open_session(self) -> Session:
        """Begin a session for a connection; the transport closes it when the connection is gone."""
        ...

    async def register_instance(
        self, *, session: Session, registration: Registration
    ) -> Registered:
        """
        Begin a run of an instance, create it if it is unknown, and bind the run to the session.

        With `continue_run` equal to the newest run that is bound and nothing else done. Raises
        TooManyInstances, InstanceAlreadyExists (of another tenant), InvalidInstanceState
        (finished), CheckpointNotFound.
        """
        ...

    async def get_instance_status(self, *, caller: Caller) -> Instance | None:
        """Read an instance in any state, for a caller of any run; None if it is unknown."""
        ...

    async def start_child(self, *, caller: Caller, child: NewChild) -> bool:
        """
        Create an instance as a child of the caller's, to be launched by an environment.

        False: the same child had been created before. Raises InstanceAlreadyExists if the id is
        another instance's, InvalidInstanceState unless the caller is RUNNING or asleep.
        """
        ...

    async def cancel_child(self, *, caller: Caller, child_id: str) -> bool:
        """
        Tell a child of the caller's to cancel; False: it has ended, and nothing is done.

        Raises InstanceNotFound for what is no child of the caller's, InvalidInstanceState unless
        the caller is open.
        """
        ...

    async def save_checkpoint(self, *, caller: Caller, write: CheckpointWrite) -> Saved:
        """
        Keep a state under its id, or give back the one kept first (`kept`).

        Of racing callers exactly one saves it (`is_found` False). A state that `is_large` is not
        given, but there for `get_checkpoint` to read. Raises InvalidInstanceState unless RUNNING
        or asleep.
        """
        ...

    async def get_checkpoint(self, *, caller: Caller, checkpoint_id: str) -> Checkpoint | None:
        """
        Read a checkpoint in any state, for a caller of any run; None if there is none.

        Raises InstanceNotFound.
        """
        ...

    async def record_event(self, *, session: Session, caller: Caller, event: Event) -> None:
        """
        Keep an event with the move it brings; a time that can't be right becomes now.

        The same ending again is recorded once. Raises InvalidInstanceState for any other.
        """
        ...

    async def heartbeat(self, *, caller: Caller, report: Report | None = None) -> None:
        """
        Show that the caller's process is alive, and keep what it reports, durably, if anything.

        Raises InvalidInstanceState if it is finished.
        """
        ...

    async def list_checkpoints(
        self,
        *,
        caller: Caller,
        after_id: int,
        limit: int,
        largest_state: int = values.MAX_LISTED_STATE_BYTES,
    ) -> CheckpointPage:
        """
        Read checkpoints in the order of saving; limit: at most 1000, 0 stands for 100.

        largest_state: bytes of the states that come along.
        """
        ...

    async def record_retry_attempt(self, *, caller: Caller, attempt: RetryAttempt) -> None:
        """Keep the audit row of a failed attempt; the same attempt again overwrites it."""
        ...

    async def sleep(
        self,
        *,
        session: Session,
        caller: Caller,
        sleep: Sleep,
        on_stored: Callable[[], None] = ignore,
    ) -> None:
        """
        Keep a deadline and return when it has come, or a cancel is pending; at once if detached.

        Calls `on_stored` as soon as the sleep is stored and only the wait for it is held here.
        Raises InvalidInstanceState if the instance is paused or ends meanwhile, NoAnswer if the
        session or the core ends: the instance stays asleep then, and anything may wake it.
        """
        ...

    async def poll_signals(
        self,
        *,
        session: Session,
        caller: Caller,
        checkpoint_ids: Collection[str],
        wait: timedelta,
        on_abandoned: OnAbandoned = never_abandoned,
    ) -> Pending:
        """
        Read what is pending, and wait for it, at most a minute; not once the client gives it up.

        Of what was sent for the checkpoints that are named the first ones, as many as are read at
        once; a request without them then answers the others.
        """
        ...

    async def acknowledge_signal(
        self, *, session: Session, caller: Caller, signal: SignalType, accepted: bool
    ) -> None:
        """
        Take the pending signal as acknowledged if it is of this type, with the move that brings.

        Not accepted, it stays pending.
        """
        ...

    async def record_events(
        self,
        *,
        session: Session,
        entries: Sequence[tuple[Caller, Event]],
        heartbeats: Sequence[Caller] = (),
        refused: Sequence[CoreError] = (),
    ) -> None:
        """
        Keep events in one transaction; those that can't be kept are skipped and logged together.

        refused: why others of the batch were skipped before; it is logged with the rest. Raises
        InstanceSuperseded after it if any came from a superseded run.
        """
        ...


class Transport(Protocol):
    """
    Carries requests between `async with` and its end; what it took it answers before it closes.
    """

    @property
    def address(self) -> tuple[str, int]:
        """Where it is reached: host and port as bound."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

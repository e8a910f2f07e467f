"""The core's operations for transports, and the port to transports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

from runtara_domain import values
from runtara_domain.record import record

if TYPE_CHECKING:
    from runtara_domain.error import CoreError
    from runtara_domain.model import (
        Caller,
        Checkpoint,
        CheckpointPage,
        CheckpointWrite,
        ChildrenStarted,
        Event,
        Instance,
        NewChild,
        NewChildren,
        Pending,
        Recorded,
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
"""Within its block, calls the given function once the client no longer wants the answer."""


def never_abandoned(call: Callable[[], None]) -> AbstractContextManager[None]:
    """Call nothing: the client wants the answer for as long as its session lasts."""
    return nullcontext()


def ignore() -> None:
    """Do nothing."""


@record
class Request:
    """
    A request's context from its transport, besides the message.

    session: of the request's connection. on_abandoned: reports that the client no longer wants the
    answer, so that no wait goes on for it. on_stored: called once no part of the message is held
    any more, if the answer comes long after that.
    """

    session: Session
    on_abandoned: OnAbandoned = never_abandoned
    on_stored: Callable[[], None] = ignore


class Operations(Protocol):
    """
    The operations for instances.

    A refused operation raises a CoreError and stores nothing. Besides the errors named at each
    operation, it raises InstanceNotFound, InstanceSuperseded (a newer run than the caller's has
    registered) and DatabaseError. The effect of an operation is durable when it returns.
    """

    def open_session(self) -> Session:
        """Begin a session for a connection; the transport closes it when the connection is gone."""
        ...

    async def register_instance(
        self, *, session: Session, registration: Registration
    ) -> Registered:
        """
        Begin a run of an instance, create it if it is unknown, and bind the run to the session.

        If `continue_run` is the newest run, that run is bound, and nothing else is done. Raises
        TooManyInstances, InstanceAlreadyExists (of another tenant), InvalidInstanceState
        (finished), CheckpointNotFound.
        """
        ...

    async def get_instance_status(self, *, caller: Caller) -> Instance | None:
        """Read an instance in any state, for a caller of any run; None if it is unknown."""
        ...

    async def start_child(self, *, caller: Caller, child: NewChild) -> bool:
        """
        Create a child of the caller's instance, to be launched by an environment.

        Returns False if the same child exists already. Raises InstanceAlreadyExists if the id is
        another instance's, InvalidInstanceState unless the caller is RUNNING or asleep.
        """
        ...

    async def start_children(self, *, caller: Caller, new: NewChildren) -> ChildrenStarted:
        """
        Create children of the caller's instance and save checkpoints of it, all or nothing.

        The first state saved under an id stays, as for `save_checkpoint`. Raises
        InstanceAlreadyExists, which names the child, if an id is another instance's;
        InvalidInstanceState unless the caller is RUNNING or asleep.
        """
        ...

    async def cancel_child(self, *, caller: Caller, child_id: str) -> bool:
        """
        Send a child of the caller's instance a cancel; False: it has ended, and nothing is done.

        Raises InstanceNotFound if the caller's instance has no such child, InvalidInstanceState
        unless the caller is open.
        """
        ...

    async def save_checkpoint(self, *, caller: Caller, write: CheckpointWrite) -> Saved:
        """
        Save a state under its id, or return the state that was saved first (`kept`).

        Of racing callers exactly one saves (`is_found` False). A saved state that `is_large` is not
        returned; `get_checkpoint` reads it. Raises InvalidInstanceState unless the caller is
        RUNNING or asleep.
        """
        ...

    async def get_checkpoint(self, *, caller: Caller, checkpoint_id: str) -> Checkpoint | None:
        """
        Read a checkpoint in any state, for a caller of any run; None if there is none.

        Raises InstanceNotFound.
        """
        ...

    async def record_event(self, *, session: Session, caller: Caller, event: Event) -> Recorded:
        """
        Store an event and move its instance; an impossible time of the event becomes now.

        A repeated end is recorded once. Raises InvalidInstanceState for any other end of a finished
        instance.
        """
        ...

    async def heartbeat(self, *, caller: Caller, report: Report | None = None) -> None:
        """
        Note that the caller's process is alive, and store its report, if there is one, durably.

        Raises InvalidInstanceState if the instance is finished.
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

        largest_state: the largest state, in bytes, that is returned with its checkpoint.
        """
        ...

    async def record_retry_attempt(self, *, caller: Caller, attempt: RetryAttempt) -> None:
        """Store the audit row of a failed attempt; the same attempt again overwrites it."""
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
        Store a deadline, and return when it has passed or a cancel is pending; at once if detached.

        Calls `on_stored` once the sleep is stored, and only the wait is left. Raises
        InvalidInstanceState if the instance is paused or ends meanwhile, NoAnswer if the session or
        the core ends: the instance then stays asleep, and any environment or core may wake it.
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
        Read the pending signal and the custom signals; wait for them for at most a minute.

        The wait ends if the client no longer wants the answer. If the custom signals of the named
        checkpoints are too many for one answer, the earliest are returned; a further request
        without their ids returns the others.
        """
        ...

    async def acknowledge_signal(
        self, *, session: Session, caller: Caller, signal: SignalType, accepted: bool
    ) -> None:
        """
        Acknowledge the pending signal if it has this type, and move the instance accordingly.

        A signal that is not accepted stays pending.
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
        Store events in one transaction; events that can't be stored are skipped and logged.

        refused: errors of entries that the transport skipped; they are logged too. Raises
        InstanceSuperseded, after storing, if any event came from a superseded run.
        """
        ...


class Transport(Protocol):
    """
    Carries requests within its `async with` block; it answers accepted requests before it closes.
    """

    @property
    def address(self) -> tuple[str, int]:
        """The bound host and port."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

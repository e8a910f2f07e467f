"""The port to placements, where processes run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from runtara_domain.model.launch_ends import LaunchEnd
from runtara_domain.record import record

if TYPE_CHECKING:
    from runtara_domain.model.launch_ends import Cause
    from runtara_domain.model.launches import Assignment, OpenLaunch
    from runtara_domain.model.stored_images import Image

HasEnded: TypeAlias = Callable[[str, LaunchEnd], None]
"""Gets a launch's id and the end of its process; it must not block or raise."""


class StopSignal(StrEnum):
    """A signal to a process."""

    TERMINATE = "terminate"
    """SIGTERM: end after clean-up."""
    KILL = "kill"
    """SIGKILL: end at once, with all child processes."""


class LaunchFailed(Exception):
    """
    A launch could not get a process.

    end: the evidence, with the reason as the process's output. problem: a fault of the image, for
    which no launch of it can get a process; None if another launch may.
    """

    def __init__(self, cause: Cause, reason: str, *, problem: str | None = None) -> None:
        super().__init__(reason)
        self.end = LaunchEnd(cause=cause, reports=False, reason=reason, stderr=reason)
        self.problem = problem


class Placement(Protocol):
    """
    Runs processes, on this machine or on an engine's cluster.

    A process outlives the environment that launched it; the next environment of the same id finds
    it again. The end of a process is kept until it is confirmed.
    """

    def can_run(self, image: Image) -> bool:
        """Return whether it can run an image; quick, and always the same for an image."""
        ...

    def sends_launch_id(self, image: Image) -> bool:
        """Return whether processes of an image register with their launch id."""
        ...

    def watch(self, ended: HasEnded) -> AbstractAsyncContextManager[None]:
        """
        Within the block, call `ended` for each process that ends, and for unconfirmed earlier ends.

        `ended` may be called several times for one end.
        """
        ...

    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> str | None:
        """
        Start a launch's process and return its handle; repeated calls start one process.

        None: the process ends with the environment's own, and no later one takes it up. given: the
        instance's input, for images only. may_start: called right before the start; if it returns
        False, no process is started. Raises LaunchFailed if there is no process.
        """
        ...

    async def send(self, launch_id: str, signal: StopSignal) -> None:
        """Send a launch's process a signal; does nothing if the launch has no process."""
        ...

    async def take_up(self, launches: Sequence[OpenLaunch]) -> None:
        """
        Watch the processes of these launches again; end all other processes of the environment.

        For a process that has ended, `ended` is called with the evidence that is left.
        """
        ...

    async def confirm(self, launch_id: str) -> None:
        """Forget a launch that has ended, because its verdict is stored."""
        ...


@record
class LogPiece:
    """
    A piece of the output of a launch's process.

    end: the offset after the piece, counted from the first byte that the process wrote. size: the
    number of bytes that it has written so far.
    """

    data: bytes
    end: int
    size: int


@runtime_checkable
class KeepsLogs(Protocol):
    """A placement that can return the output of processes, also while they run."""

    async def read_log(
        self, tenant_id: str, instance_id: str, launch_id: str, offset: int, limit: int
    ) -> LogPiece | None:
        """
        Read at most `limit` bytes from an offset, or from the first byte that is still stored.

        Returns None if there is no such output, or if it can't be reached now.
        """
        ...


@runtime_checkable
class KeepsFolders(Protocol):
    """A placement that removes old folders of launches when the environment asks for it."""

    async def sweep(
        self, is_known: Callable[[str], Awaitable[bool]], older_than: timedelta | None
    ) -> int:
        """
        Remove folders that no launch needs any more, and return how many.

        is_known: returns whether an instance is stored. older_than: all folders of an instance that
        is not stored, and had no launch for that long, are removed; None keeps such folders.
        """
        ...

"""Where launches run, and what the engine of launches asks of that place."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol, TypeAlias, runtime_checkable

from runtara_domain.model.images import Image
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Assignment, OpenLaunch

HasEnded: TypeAlias = Callable[[str, LaunchEnd], None]
"""Called with a launch's id and the end of its process; neither blocks nor raises."""


class StopSignal(StrEnum):
    """What a process is sent."""

    TERMINATE = "terminate"
    """Leave: SIGTERM."""
    KILL = "kill"
    """End at once, with all the processes it has: SIGKILL."""


class LaunchFailed(Exception):
    """
    A launch has no process, and gets none.

    end: the evidence, with the reason in the place of what a process would have written. problem:
    what is wrong with the image itself, so that no launch of it can have a process; None if another
    launch may.
    """

    def __init__(self, cause: Cause, reason: str, *, problem: str | None = None) -> None:
        super().__init__(reason)
        self.end = LaunchEnd(cause=cause, reports=False, reason=reason, stderr=reason)
        self.problem = problem


class Placement(Protocol):
    """
    A place where processes run: this machine, or an engine's cluster.

    A process outlives the environment that launched it, and is found again by the next environment
    of the same id. How a process ended is kept until it is confirmed.
    """

    def can_run(self, image: Image) -> bool:
        """Return whether it can run an image, from what is known; quick, and always the same."""
        ...

    def sends_launch_id(self, image: Image) -> bool:
        """Return whether processes of an image register with their launch id."""
        ...

    def watch(self, ended: HasEnded) -> AbstractAsyncContextManager[None]:
        """
        Call `ended`, within the block, for each process that ends, and for unconfirmed ends.

        It may be called several times for one end.
        """
        ...

    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> str:
        """
        Start a launch's process, once however often it is asked; give its handle.

        given: the instance's input, of an image alone. `may_start` is asked right before the
        process is started. Raises LaunchFailed if there is no process.
        """
        ...

    async def send(self, launch_id: str, signal: StopSignal) -> None:
        """Send a process a signal; does nothing if there is none."""
        ...

    async def take_up(self, launches: Sequence[OpenLaunch]) -> None:
        """
        Watch the processes of these launches again; end all others of this environment.

        `ended` is called for a process that is gone, with as much as is known of its end.
        """
        ...

    async def confirm(self, launch_id: str) -> None:
        """Let a launch that has ended be forgotten: its verdict is stored."""
        ...


@dataclass(frozen=True, slots=True)
class LogPiece:
    """
    A piece of what a launch's process has written.

    end: the offset behind it, counted from the first byte that the process wrote. size: how many
    bytes it has written so far.
    """

    data: bytes
    end: int
    size: int


@runtime_checkable
class KeepsLogs(Protocol):
    """A placement that shows what processes write, also while they run."""

    async def read_log(
        self, tenant_id: str, instance_id: str, launch_id: str, offset: int, limit: int
    ) -> LogPiece | None:
        """
        Read at most `limit` bytes from an offset, or from the first byte that is still there.

        None if there is no such output, or it can't be reached now.
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

        is_known: returns whether an instance is stored. older_than: all folders go of an instance
        that is not stored and had no launch for that long. None: such folders stay.
        """
        ...

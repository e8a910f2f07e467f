"""All ports to storage together, and their lifetime."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from runtara_domain.ports.checkpoints import Checkpoints
    from runtara_domain.ports.claims import Claims
    from runtara_domain.ports.environments import Environments
    from runtara_domain.ports.events import Events
    from runtara_domain.ports.images import Images
    from runtara_domain.ports.instances import Instances
    from runtara_domain.ports.launches import Launches
    from runtara_domain.ports.limits import Limits
    from runtara_domain.ports.schedules import Schedules
    from runtara_domain.ports.signals import Signals

LAUNCHABLE_WITHIN = timedelta(seconds=15)
"""How early watches call for a sleep or claim that ends; `Claims.next_due` has later ones."""


class Persistence(Protocol):
    """
    Storage, open within its `async with` block.

    A step is durable when its call returns. The step of a cancelled caller is executed completely,
    or not at all. If the database fails, a step raises DatabaseError, with the driver's error as
    its cause.
    """

    @property
    def instances(self) -> Instances: ...

    @property
    def checkpoints(self) -> Checkpoints: ...

    @property
    def claims(self) -> Claims: ...

    @property
    def events(self) -> Events: ...

    @property
    def signals(self) -> Signals: ...

    @property
    def images(self) -> Images: ...

    @property
    def launches(self) -> Launches: ...

    @property
    def environments(self) -> Environments: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def schedules(self) -> Schedules: ...

    async def check(self) -> None:
        """Check that the database answers; raises DatabaseError if not."""
        ...

    def watch(
        self,
        changed: Callable[[Collection[str] | None], None],
        *,
        launchable: Callable[[], None] | None = None,
    ) -> AbstractAsyncContextManager[None]:
        """
        Within the block, watch for signals sent by this process, other processes or plain SQL.

        `changed` is called in the event loop with the ids of the instances that have signals, or
        with None if any instance may have one.

        `launchable` is called when instances may have become launchable: they were stored as
        PENDING, their sleep is over, a claim was released, a suspended one got a cancel or a
        resume, or their launch has ended. It is called for instances that are launchable within
        LAUNCHABLE_WITHIN; `Claims.next_due` gives the later moments. One call may stand for many
        instances; when it comes, another environment may have claimed them. Neither callback may
        block or raise.

        Changes before the block is entered may go unnoticed: enter first, then read. While no block
        runs, the watch costs nothing.
        """
        ...

    async def __aenter__(self) -> Self:
        """
        Open the database.

        The schema is brought up to date; if other programs are to do that, a schema that lacks
        something is refused. Raises DatabaseError with the remedy.
        """
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the steps under way, then close."""
        ...

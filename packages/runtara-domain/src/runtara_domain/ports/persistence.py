"""The ports to what is stored, together, and their lifetime."""

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self

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
"""How early watches are told of a sleep or claim that ends: ask for later ones more often."""


class Persistence(Protocol):
    """
    Storage, open between `async with` and its end.

    Every step is durable when its call returns; a call whose caller is cancelled is carried out
    whole or not at all. What the database cannot do raises DatabaseError, with the driver's error
    as its cause.
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
        """Ask the database whether it answers; raises DatabaseError if not."""
        ...

    def watch(
        self,
        changed: Callable[[Collection[str] | None], None],
        *,
        launchable: Callable[[], None] | None = None,
    ) -> AbstractAsyncContextManager[None]:
        """
        Be told, within the block, of signals: of this process, of others, and of plain SQL.

        `changed` is called in the event loop with the ids of the instances they are for, or with
        None if any may be meant. `launchable` is called when instances may have become launchable
        that could not be launched before: put in as PENDING, asleep and over, given back, sent a
        cancel or a resume while suspended, or without the launch they had. It is told of what is
        launchable within LAUNCHABLE_WITHIN; `Claims.next_due` tells what is due later. One call
        may stand for many instances, and for none that is left. Neither may block or raise.

        What was put in before the block is entered may go untold: enter first, then read. Being
        told costs nothing while no block runs.
        """
        ...

    async def __aenter__(self) -> Self:
        """
        Open the database.

        Its schema is brought up to date, unless that is left to others: then one that lacks
        something is refused. Raises DatabaseError saying what to do.
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

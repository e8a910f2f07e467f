"""The five ports to what is stored, together, and their lifetime."""

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Protocol, Self

from runtara_domain.ports.checkpoints import Checkpoints
from runtara_domain.ports.claims import Claims
from runtara_domain.ports.events import Events
from runtara_domain.ports.instances import Instances
from runtara_domain.ports.signals import Signals


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

    async def check(self) -> None:
        """Ask the database whether it answers; raises DatabaseError if not."""
        ...

    def watch(
        self, changed: Callable[[Collection[str] | None], None]
    ) -> AbstractAsyncContextManager[None]:
        """
        Be told, within the block, of signals put in by anybody: this process, another, plain SQL.

        `changed` is called in the event loop with the ids of the instances they are for, or with
        None if any may be meant; it must not block or raise. A signal put in before the block is
        entered may go untold: enter first, then read. Being told costs nothing while no block runs.
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

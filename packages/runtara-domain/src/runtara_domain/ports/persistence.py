"""The four ports to what is stored, together, and their lifetime."""

from types import TracebackType
from typing import Protocol, Self

from runtara_domain.ports.checkpoints import Checkpoints
from runtara_domain.ports.events import Events
from runtara_domain.ports.instances import Instances


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
    def events(self) -> Events: ...

    async def __aenter__(self) -> Self:
        """
        Open the database and bring its schema up to date; raises DatabaseError saying what to do.
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

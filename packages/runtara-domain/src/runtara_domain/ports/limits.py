"""What environments need stored about limits, queues and holds."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from runtara_domain.model.limits import Hold, Limit, LimitUse, Scope


class Limits(Protocol):
    """
    Limits of open launches, and holds.

    A claim under a limit locks its row and counts, so that no two environments together exceed it.
    A change that allows more launches calls the watches.
    """

    async def put(self, limit: Limit) -> bool:
        """Set the limit of a tenant, an image name or a queue; True if there was none."""
        ...

    async def remove(self, scope: Scope, tenant_id: str, name: str = "") -> int | None:
        """
        Take a limit away; None if there was none, else 0.

        A queue with open instances stays; the result is then their number.
        """
        ...

    async def page(self, tenant_id: str | None = None) -> Sequence[LimitUse]:
        """Read limits with what they bound just now, by scope, tenant and name."""
        ...

    async def hold(self, hold: Hold, *, at: datetime) -> None:
        """Launch nothing that it covers; the same hold again replaces its reason."""
        ...

    async def release(self, scope: Scope, tenant_id: str, name: str = "") -> bool:
        """Take a hold away; False if there was none."""
        ...

    async def holds(self) -> Sequence[Hold]:
        """Read all holds, the oldest first."""
        ...

"""The port to stored limits, queues and holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from runtara_domain.model.limits import Hold, Limit, LimitUse, Scope


class Limits(Protocol):
    """
    Limits of open launches, and holds.

    A claim under a limit locks the limit's row and counts open launches, so that environments
    together never exceed it. A change that allows more launches calls the watches.
    """

    async def put(self, limit: Limit) -> bool:
        """Set the limit of a tenant, an image name or a queue; True if there was none."""
        ...

    async def remove(self, scope: Scope, tenant_id: str, name: str = "") -> int | None:
        """
        Remove a limit; returns None if there was none, else 0.

        A queue with open instances is not removed; the result is then their number.
        """
        ...

    async def page(self, tenant_id: str | None = None) -> Sequence[LimitUse]:
        """Read limits with their present use, by scope, tenant and name."""
        ...

    async def hold(self, hold: Hold, *, at: datetime) -> None:
        """Store a hold, or replace the reason of the same hold."""
        ...

    async def release(self, scope: Scope, tenant_id: str, name: str = "") -> bool:
        """Remove a hold; False if there was none."""
        ...

    async def holds(self) -> Sequence[Hold]:
        """Read all holds, the oldest first."""
        ...

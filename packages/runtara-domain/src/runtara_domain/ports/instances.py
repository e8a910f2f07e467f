"""What the core needs stored about instances."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from runtara_domain.model import Caller, Instance, Registered, Registration, Standing
from runtara_domain.status import Condition


class Instances(Protocol):
    """Instances, their states and runs."""

    async def register(
        self, registration: Registration, *, when: Condition, at: datetime
    ) -> Registered:
        """
        Begin a run, or find the one to continue.

        An unknown instance is created RUNNING in its run 1, unless the registration names a
        checkpoint or a run to continue (neither can exist). A known one becomes RUNNING in its next
        run if the tenant owns it, its state is in `when` and the named checkpoint exists; with that
        `sleep_until` and the wake claim are cleared, a pending resume is acknowledged, and
        `started_at` is set if it was not. Each run begun adds one `started` event. With
        `continue_run` nothing is moved or added. When anything speaks against it, nothing is
        changed, and the outcome tells all that was found.
        """
        ...

    async def get(self, instance_id: str) -> Instance | None:
        """Read one; None if there is none."""
        ...

    async def standing(self, instance_id: str) -> Standing | None:
        """Read state and run alone; None if there is none."""
        ...

    async def touch(self, callers: Collection[Caller], *, at: datetime) -> None:
        """
        Move `last_activity_at` forward to `at` for callers that are open and not superseded.

        Unknown instances are passed over; it never moves backward.
        """
        ...

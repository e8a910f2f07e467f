"""Which nodes are lost: the leases of their agents in the database decide, not Ray."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from runtara_domain.model.launch_ends import Cause
from runtara_domain.ports.environments import Environments

MISSED = timedelta(seconds=8)
"""A node is lost if its lease has been over for so long while the database could be asked."""

Loss: TypeAlias = tuple[Cause, str]
"""ENVIRONMENT_LOST if processes may live, RUNNER_FAILED if all have ended; a reason for people."""


@dataclass(slots=True)
class NodeWatch:
    """
    Finds lost agents. Call `look` about every two seconds.

    If a lease runs out while the database can't be reached, the agent does not count as lost at
    once: it has `MISSED` to renew the lease when the database is back.
    """

    environments: Environments
    _missing_since: dict[str, timedelta] = field(default_factory=dict)

    async def look(self, agents: Collection[str], uptime: timedelta) -> Mapping[str, Loss]:
        """
        Return the lost agents among these, with the cause and the reason.

        Raises DatabaseError. After an error, the time since each lease's end is counted again.
        """
        try:
            rows = await self.environments.page(gone_for=timedelta(hours=1))
            good = await self.environments.page(gone_for=timedelta(0))
        except BaseException:
            self._missing_since.clear()
            raise
        closed = {row.environment_id for row in rows if row.closed_at is not None}
        living = {row.environment_id for row in good if row.closed_at is None}
        lost: dict[str, Loss] = {}
        for agent in agents:
            if agent in closed:
                lost[agent] = (Cause.RUNNER_FAILED, "its agent has ended its launches, and itself")
            elif agent in living:
                self._missing_since.pop(agent, None)
            elif uptime - self._missing_since.setdefault(agent, uptime) >= MISSED:
                lost[agent] = (Cause.ENVIRONMENT_LOST, "its agent has not renewed its lease")
        for agent in lost:
            self._missing_since.pop(agent, None)
        return lost

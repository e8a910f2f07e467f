"""Which nodes are lost: their agents' leases in the database tell, whatever Ray knows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from runtara_domain.model.launch_ends import Cause
from runtara_domain.ports.environments import Environments

MISSED = timedelta(seconds=8)
"""For how long a lease must have been over, while the database could be asked, to count as lost."""

Loss: TypeAlias = tuple[Cause, str]
"""ENVIRONMENT_LOST if its processes may live, RUNNER_FAILED if they have ended; for people, why."""


@dataclass(slots=True)
class NodeWatch:
    """
    Tells which agents are lost. `look` is to be called every two seconds or so.

    A lease that runs out while the database is away is no loss: agents need a moment to renew it.
    """

    environments: Environments
    _missing_since: dict[str, timedelta] = field(default_factory=dict)

    async def look(self, agents: Collection[str], uptime: timedelta) -> Mapping[str, Loss]:
        """
        Give those of these agents that are lost, with the cause and the reason.

        Raises DatabaseError, and then counts anew.
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
                lost[agent] = (Cause.RUNNER_FAILED, "its agent ended all it had launched, and left")
            elif agent in living:
                self._missing_since.pop(agent, None)
            elif uptime - self._missing_since.setdefault(agent, uptime) >= MISSED:
                lost[agent] = (Cause.ENVIRONMENT_LOST, "its agent has not renewed its lease")
        for agent in lost:
            self._missing_since.pop(agent, None)
        return lost

"""Launches for which a cluster had no room, and when they are tried again."""

import asyncio
import logging
from dataclasses import dataclass, field

from runtara_domain.error import DatabaseError
from runtara_domain.ports.launches import Launches

logger = logging.getLogger(__name__)

_AT_ONCE = 4
_ON_ITS_WAY_S = 30.0
"""How long an instance may take from the end of its wait to its launch in this environment."""


@dataclass(slots=True)
class WaitingLine:
    """
    The instances that a placement gave back because it had no room, the longest waiting first.

    Whenever room is freed, each instance in the line is tried once, a few at a time, before its
    back-off ends. The cluster's engine reports freed room, because other environments and added
    machines free room, too. The line is only a hint: an instance that is missing here is launched
    after its back-off.
    """

    launches: Launches
    _freed: int = 0
    _tried: dict[str, int] = field(default_factory=dict)
    """By instance that is being launched: how often room had been freed when its launch began."""
    _given_back: dict[str, str] = field(default_factory=dict)
    """The instances of launches whose verdict is not stored yet."""
    _line: dict[str, int] = field(default_factory=dict)
    _called: dict[str, float] = field(default_factory=dict)

    def begin(self, instance_id: str) -> None:
        """Note that an instance is being launched."""
        self._tried[instance_id] = self._freed
        self._line.pop(instance_id, None)

    def give_back(self, launch_id: str, instance_id: str) -> None:
        """Note that a launch waits for room that the end of another launch makes."""
        self._given_back[launch_id] = instance_id

    async def go_on(self, instance_id: str) -> None:
        """Note that an instance has room, or that no end of a launch makes room for it."""
        self._tried.pop(instance_id, None)
        if self._called.pop(instance_id, None) is not None:
            await self._call()

    @property
    def is_empty(self) -> bool:
        """Whether no instance waits for room that another launch frees."""
        return not self._line

    async def closed(self, launch_id: str) -> None:
        """Note that a launch's verdict is stored; never raises DatabaseError."""
        instance_id = self._given_back.pop(launch_id, None)
        if instance_id is not None:
            self._called.pop(instance_id, None)
            self._line[instance_id] = self._tried.pop(instance_id, self._freed)
            await self._call()

    async def freed(self) -> None:
        """Note that the engine has more free than it had; never raises DatabaseError."""
        self._freed += 1
        await self._call()

    async def _call(self) -> None:
        now = asyncio.get_running_loop().time()
        for instance_id in [one for one, until in self._called.items() if until <= now]:
            del self._called[instance_id]
        untried = [one for one, freed in self._line.items() if freed < self._freed]
        first = untried[: _AT_ONCE - len(self._called)]
        for instance_id in first:
            self._called[instance_id] = now + _ON_ITS_WAY_S
            del self._line[instance_id]
        try:
            if first:
                await self.launches.end_waits(first)
        except DatabaseError as error:
            logger.warning("instances that wait for room can't be tried again: %s", error)

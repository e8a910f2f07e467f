"""A persistence with something put in front of its steps: counted, held up, or failing."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from runtara_domain.error import DatabaseError
from runtara_domain.ports.persistence import Persistence


class Interposed:
    """
    Hands every step on to a persistence, by its name.

    calls: how often each was begun. failing: those that are not carried out. unanswered: those that
    are carried out and fail all the same. gates: what a step waits for before it is carried out.
    replies: what its caller waits for afterwards. held_up: instances of which no claim can be
    renewed or given back, as another step has them in hand.
    """

    def __init__(self, persistence: Persistence) -> None:
        self.calls: Counter[str] = Counter()
        self.failing: set[str] = set()
        self.unanswered: set[str] = set()
        self.held_up: set[str] = set()
        self.gates: dict[str, asyncio.Event] = {}
        self.replies: dict[str, asyncio.Event] = {}
        self.instances = _Port(self, persistence.instances)
        self.checkpoints = _Port(self, persistence.checkpoints)
        self.claims = _Port(self, persistence.claims)
        self.events = _Port(self, persistence.events)
        self.signals = _Port(self, persistence.signals)
        self.watch = persistence.watch

    @property
    def port(self) -> Persistence:
        """This object, typed as the port."""
        return cast(Persistence, self)

    async def execute(self, name: str, step: Any, *values: Any, **named: Any) -> Any:
        """Do with a step as is laid down for it."""
        self.calls[name] += 1
        if name in self.gates:
            await self.gates[name].wait()
        if name in self.failing:
            raise DatabaseError("the disk is gone")
        if self.held_up and name in _PASSING_OVER:
            outcome = await _PASSING_OVER[name](self.held_up, step, *values, **named)
        else:
            outcome = await step(*values, **named)
        if name in self.replies:
            await self.replies[name].wait()
        if name in self.unanswered:
            raise DatabaseError("the answer is gone")
        return outcome


async def _renew(held_up: set[str], step: Any, claim: Any, sleepers: Any, **named: Any) -> Any:
    free = {each: sleepers[each] for each in sleepers if each.instance_id not in held_up}
    return await step(claim, free, **named)


async def _release(held_up: set[str], step: Any, token: str, names: Any, **named: Any) -> Any:
    await step(token, set(names) - held_up, **named)
    return held_up & set(names)


_PASSING_OVER: dict[str, Callable[..., Any]] = {"renew": _renew, "release": _release}


class _Port:
    def __init__(self, interposed: Interposed, port: object) -> None:
        self._interposed = interposed
        self._port = port

    def __getattr__(self, name: str) -> Any:
        step = getattr(self._port, name)

        async def call(*values: Any, **named: Any) -> Any:
            return await self._interposed.execute(name, step, *values, **named)

        return call

"""Ends that close launches, reports of these launches and limits, all on the same rows at once."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from tests.contract.launching import close, start
from tests.contract.test_launches_end import (
    EXITED,
    LATER,
    claimed,
    end,
    hold,
    launches,
    register,
    step,
)
from tests.support import postgres

from runtara_domain.model import EventFilter, EventType
from runtara_domain.model.limits import Limit, Scope
from runtara_domain.status import State
from runtara_persistence.postgres.persistence import PostgresPersistence

ROUNDS, RUNS = 2, 9


async def test_ends_and_reports_of_many_launches_wait_for_each_other_in_no_circle() -> None:
    """Whichever comes first closes the launch; a deadlock would be an error after its repeats."""
    with postgres.migrated_database() as url:
        async with PostgresPersistence(url) as one, PostgresPersistence(url) as other:
            await hold(one)
            for number in range(ROUNDS):
                await race(one, other, [f"{number}-{run}" for run in range(RUNS)])


async def race(one: PostgresPersistence, other: PostgresPersistence, names: list[str]) -> None:
    for name in names:
        await start(one, name, queue="q")
    launched = (await claimed(one)).assignments
    callers = [await register(one, each) for each in launched]
    work: list[Coroutine[Any, Any, object]] = [
        *(end(random.choice([one, other]), caller) for caller in callers),
        *(close(random.choice([one, other]), each.launch_id, EXITED) for each in launched),
        one.events.record_all([step(caller) for caller in callers], at=LATER),
        other.events.record_all([step(caller) for caller in reversed(callers)], at=LATER),
        *(
            other.limits.put(Limit(Scope.QUEUE, launched[0].tenant_id, "q", max_concurrent=bound))
            for bound in (50, 60)
        ),
    ]
    random.shuffle(work)

    await asyncio.gather(*work)

    for name in names:
        found = await one.instances.get(name)
        assert found is not None
        [launch] = await launches(one, name)
        assert (found.state, launch.closed_at is not None) == (State.COMPLETED, True)
        # A report that comes before the end judges a run that gave up.
        assert launch.verdict in ("nothing", "crash")
        assert await one.events.count(EventFilter(name, type=EventType.COMPLETED)) == 1

"""
Any order of claims, ends, losses and operators' steps leaves SQLite with what memory has.

PostgreSQL is held to the same by the contract suite; a random history takes too long there for CI.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.launching import (
    KILLED,
    LONG,
    hold_lease,
    judge_as_usual,
    offer_all,
    put_image,
    start,
)
from tests.contract.states import TENANT
from tests.support.clock import START
from tests.support.sqlite import migrated_file

from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Claim,
    Ending,
    Event,
    EventType,
    Registration,
    Sleep,
)
from runtara_domain.model.interventions import Deletion, Retry, Stop
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Closing, Offer
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, WORKING, State
from runtara_persistence.memory import MemoryPersistence
from runtara_persistence.sqlite.persistence import SqlitePersistence

NAMES = ("a", "b", "c", "w")
"""Of instances with an image, and the last one of an instance that a worker runs."""
WORKER: dict[str, Any] = {
    "kind": EnvironmentKind.WORKER,
    "tenant_id": TENANT,
    "workflows": frozenset({"orders"}),
}
WORKERS = Offer(environment_id="w", workflows=frozenset({"orders"}), tenant_id=TENANT)
ENDS = (
    KILLED,
    LaunchEnd(cause=Cause.EXITED, reports=True, exit_code=1),
    LaunchEnd(cause=Cause.EXITED, reports=True, exit_code=4),
    LaunchEnd(cause=Cause.EXITED, reports=True, exit_code=64),
    LaunchEnd(cause=Cause.ENVIRONMENT_LOST, reports=True),
    LaunchEnd(cause=Cause.WAITING, reports=False),
)
named = st.sampled_from(NAMES)
STEPS = st.one_of(
    st.tuples(st.just("start"), named, st.integers(0, 1)),
    st.tuples(st.just("claim"), st.sampled_from("efw"), st.integers(1, 3)),
    st.tuples(st.just("register"), named, st.booleans()),
    st.tuples(st.just("save"), named, st.integers(0, 2)),
    st.tuples(st.just("sleep"), named, st.integers(0, 90)),
    st.tuples(st.just("close"), named, st.integers(0, len(ENDS) - 1)),
    st.tuples(st.just("end"), named, st.sampled_from([0, 1, None])),
    st.tuples(st.just("resume"), named, st.none()),
    st.tuples(st.just("end waits"), named, st.none()),
    st.tuples(st.just("stop"), named, st.integers(0, 5)),
    st.tuples(st.just("retry"), named, st.none()),
    st.tuples(st.just("delete"), named, st.none()),
    st.tuples(st.just("lose"), st.sampled_from("ef"), st.booleans()),
    st.tuples(st.just("wait"), st.integers(1, 150), st.none()),
)


class World:
    """One database with the launches that processes of it know."""

    def __init__(self, persistence: Persistence) -> None:
        self.persistence = persistence
        self.launched: dict[str, str] = {}
        self.callers: dict[str, Caller] = {}
        self.at = START

    async def prepare(self) -> None:
        await put_image(self.persistence, image_id="image")
        for name in "ef":
            await hold_lease(self.persistence, name)
        await hold_lease(self.persistence, "w", ttl=LONG, **WORKER)

    # Any: each kind of step has arguments of its own.
    async def take(self, kind: str, name: Any, more: Any) -> object:
        """Take a step, and tell what it found."""
        launches, at = self.persistence.launches, self.at
        launch_id = self.launched.get(name, "none")
        match kind:
            case "start":
                how = {"priority": more} if name == "w" else {"priority": more, "image_id": "image"}
                return await start(self.persistence, name, **how)
            case "claim":
                return await self._claim(name, more)
            case "register":
                asked = Registration(name, TENANT, launch_id=launch_id if more else None)
                registered = await self.persistence.instances.register(asked, when=OPEN, at=at)
                if registered.run is not None:
                    self.callers[name] = Caller(name, registered.run)
                return registered
            case "save":
                write = CheckpointWrite(f"c{more}", b"")
                caller = Caller(name)
                return await self.persistence.checkpoints.save(caller, write, when=WORKING, at=at)
            case "sleep":
                return await self._sleep(name, more)
            case "close":
                return await launches.close(Closing(launch_id, ENDS[more]), judge_as_usual, at=at)
            case "end":
                return await self._end(name, more)
            case "resume":
                return await launches.resume(name, at=at)
            case "end waits":
                await launches.end_waits([name])
                return None
            case "stop":
                stop = Stop(name, timedelta(seconds=more), "why")
                found = await launches.stop(stop, at=at)
                ended = await launches.end_stopped(at=at)
                return found.before, found.after, found.stop_at, ended
            case "retry":
                retried = await launches.retry(Retry(name), at=at)
                return retried.before, retried.closed_launch_id is None
            case "delete":
                deleted = await launches.delete(Deletion(name))
                return replace(deleted, open_launch_id=deleted.open_launch_id and "")
            case "lose":
                return await self._lose(name, returns=more)
            case _:
                self.at += timedelta(seconds=name)
                return None

    async def look(self) -> list[object]:
        """Tell how all stands, without ids that are made by chance."""
        seen: list[object] = []
        for name in NAMES:
            view = await self.persistence.launches.view(name, at=self.at)
            if view is not None:
                is_open = view.instance.launch_id is not None
                instance = replace(view.instance, launch_id=None)
                seen.append((replace(view, instance=instance), is_open))
        for environment in "efw":
            opened = await self.persistence.launches.open_launches(environment, at=self.at)
            opened = sorted(opened, key=lambda one: one.instance_id)
            seen += [replace(one, launch_id="") for one in opened]
        return seen

    async def _claim(self, environment: str, limit: int) -> list[object]:
        offer = WORKERS if environment == "w" else offer_all(environment)
        claims = await self.persistence.launches.claim(offer, limit=limit, at=self.at)
        for one in claims.assignments:
            self.launched[one.instance_id] = one.launch_id
        return [replace(one, launch_id="") for one in claims.assignments]

    async def _end(self, name: str, exit_code: int | None) -> object:
        """End an instance; with an exit code no launch of a worker may be open afterwards."""
        caller = self.callers.get(name, Caller(name))
        state = State.FAILED if exit_code else State.COMPLETED
        event = Event(EventType(state.value), b"1", self.at, exit_code=exit_code)
        ending = Ending(state, b"1", "broken" if exit_code else None)
        ended = await self.persistence.events.end(caller, event, ending, when=WORKING, at=self.at)
        if ended.is_launch_closed:
            opened = await self.persistence.launches.open_launches("w", at=self.at)
            assert all(one.instance_id != name or one.run is None for one in opened)
        return ended

    async def _sleep(self, name: str, seconds: int) -> object:
        sleep = Sleep(f"nap{seconds}", b"", timedelta(seconds=seconds), detach=True)
        claim = Claim("core/1", self.at + timedelta(seconds=30))
        return await self.persistence.checkpoints.sleep(
            Caller(name), sleep, when=WORKING, claim=claim, earliest=None, at=self.at
        )

    async def _lose(self, environment: str, *, returns: bool) -> object:
        await self.persistence.environments.close(environment)
        if returns:
            await hold_lease(self.persistence, environment)
        lost = LaunchEnd(cause=Cause.ENVIRONMENT_LOST, reports=True)
        closed = []
        for name in NAMES:
            closing = Closing(self.launched.get(name, "none"), lost, only_if_lost=True)
            end = await self.persistence.launches.close(closing, judge_as_usual, at=self.at)
            closed.append(end.is_closed)
        await hold_lease(self.persistence, environment)
        return closed


async def compare(path: Path, steps: Sequence[tuple[str, Any, Any]]) -> None:
    async with MemoryPersistence() as memory, SqlitePersistence(str(path)) as sqlite:
        worlds = World(memory), World(sqlite)
        for world in worlds:
            await world.prepare()
        for step in steps:
            found = [await world.take(*step) for world in worlds]
            assert found[0] == found[1], step
            seen = [await world.look() for world in worlds]
            assert seen[0] == seen[1], step
        await _nothing_is_stuck(worlds[1])


async def _nothing_is_stuck(world: World) -> None:
    """Resumed and given time, every open instance without a launch is claimed, and once."""
    world.at += timedelta(days=1)
    for name in NAMES:
        await world.persistence.launches.resume(name, at=world.at)
    waiting = set()
    for name in NAMES:
        view = await world.persistence.launches.view(name, at=world.at)
        # What registered by itself, with nothing to run it by, is never launched.
        if view is None or view.image is None:
            continue
        if not view.instance.state.is_final and view.instance.launch_id is None:
            waiting.add(name)
    claims = await world.persistence.launches.claim(offer_all("e"), limit=9, at=world.at)
    claimed = [one.instance_id for one in claims.assignments]

    assert sorted(claimed) == sorted(waiting)


@settings(max_examples=15, deadline=None)
@given(st.lists(STEPS, min_size=5, max_size=25))
def test_any_history_of_launches_is_the_same_in_memory_and_on_sqlite(
    steps: list[tuple[str, Any, Any]],
) -> None:
    """Step by step, in what each finds and in how all stands; and at the end nothing is stuck."""
    with TemporaryDirectory() as folder:
        history = [("start", name, 0) for name in (*NAMES[:2], "w")]
        asyncio.run(compare(migrated_file(Path(folder) / "x.db"), [*history, *steps]))

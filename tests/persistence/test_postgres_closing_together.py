"""Launches that are closed in a group whose connection is lost between its two statements."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.contract.launching import KILLED, claim, hold_lease, judge_as_usual, put_image, start
from tests.contract.states import TENANT
from tests.support import postgres
from tests.support.clock import START

from runtara_domain.error import DatabaseError
from runtara_domain.model import Caller, Ending, Registration
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Closed, Closing
from runtara_domain.status import OPEN, WORKING, State
from runtara_persistence.postgres import closing_together
from runtara_persistence.postgres.database import Database, Records
from runtara_persistence.postgres.persistence import PostgresPersistence

EXITED = LaunchEnd(cause=Cause.EXITED, reports=True, exit_code=0)


@pytest.fixture
async def persistence() -> AsyncIterator[PostgresPersistence]:
    with postgres.migrated_database() as url:
        async with PostgresPersistence(url) as persistence:
            yield persistence


@pytest.fixture
async def launch_ids(persistence: PostgresPersistence) -> list[str]:
    """The launches of an instance that has ended, and of one that runs."""
    image = await put_image(persistence)
    await hold_lease(persistence, "e")
    for instance_id in ("ended", "running"):
        await start(persistence, instance_id, image_id=image.image_id)
    launched = {one.instance_id: one.launch_id for one in await claim(persistence)}
    for instance_id, launch_id in launched.items():
        asked = Registration(instance_id, TENANT, launch_id=launch_id)
        await persistence.instances.register(asked, when=OPEN, at=START)
    ending = Ending(State.COMPLETED, output=b"1")
    await persistence.instances.finish(Caller("ended"), ending, when=WORKING, at=START)
    return [launched["ended"], launched["running"]]


async def close(
    persistence: PostgresPersistence, *closings: Closing
) -> list[Closed | BaseException]:
    return await asyncio.gather(
        *(persistence.launches.close(each, judge_as_usual, at=START) for each in closings),
        return_exceptions=True,
    )


async def test_only_a_launch_that_is_not_closed_gets_the_error(
    persistence: PostgresPersistence, launch_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its caller closes it again, and gets the verdict then."""
    write = Database.write

    async def lose(
        self: Database, attempt: str, query: str, *given: object, **how: bool
    ) -> Records:
        if query == closing_together._SQL["together"]:
            raise DatabaseError("lost") from ConnectionResetError()
        return await write(self, attempt, query, *given, **how)

    ended, running = Closing(launch_ids[0], EXITED), Closing(launch_ids[1], KILLED)
    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", lose)
        closed, error = await close(persistence, ended, running)
    [again] = await close(persistence, running)

    assert isinstance(closed, Closed)
    assert (closed.is_closed, closed.before) == (True, State.COMPLETED)
    assert isinstance(error, DatabaseError)
    assert isinstance(again, Closed)
    assert again.is_closed
    assert again.verdict is not None


async def test_what_only_reads_is_repeated_and_what_closes_is_not(
    persistence: PostgresPersistence, launch_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a lost answer, a launch that was closed would be found by no other look."""
    looks: list[bool] = []
    write = Database.write

    async def note(
        self: Database, attempt: str, query: str, *given: object, is_repeatable: bool = False
    ) -> Records:
        if query == closing_together._SQL["look"]:
            looks.append(is_repeatable)
        return await write(self, attempt, query, *given, is_repeatable=is_repeatable)

    monkeypatch.setattr(Database, "write", note)
    measured = LaunchEnd(cause=Cause.KILLED, reports=True, signal=9, memory_peak_bytes=1)
    await close(persistence, Closing(launch_ids[1], measured))
    await close(persistence, Closing(launch_ids[0], EXITED))

    assert looks == [True, False]

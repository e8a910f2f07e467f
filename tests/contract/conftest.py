from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from tests.contract.database import Database
from tests.contract.every_database import KINDS, empty
from tests.contract.postgres import PostgresDatabase
from tests.support.clock import FrozenClock
from tests.support.postgres import migrated_database

from runtara_domain.ports.persistence import Persistence

_IN_ONE_LOOP = pytest.mark.asyncio(loop_scope="module")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run each file's tests in one event loop: connections belong to the loop they were made in."""
    for item in items:
        if Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(_IN_ONE_LOOP, append=False)


class OnPostgres:
    """
    A database on PostgreSQL, and adapters to it, that the tests of a file share.

    To connect takes longer than most of these tests. All is opened when it is first asked for.
    """

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._database: PostgresDatabase | None = None
        self._adapters: dict[str, Persistence] = {}

    async def database(self) -> PostgresDatabase:
        """Give the database; the test that takes it empties it at its end."""
        if self._database is None:
            url = self._stack.enter_context(migrated_database())
            self._database = PostgresDatabase(url)
            self._stack.push_async_callback(self._database.close)
        return self._database

    async def adapter(self, name: str) -> Persistence:
        """Give an open adapter, the same one for the same name."""
        if name not in self._adapters:
            adapter = (await self.database()).connect()
            self._adapters[name] = await self._stack.enter_async_context(adapter)
        return self._adapters[name]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def on_postgres() -> AsyncIterator[OnPostgres]:
    async with AsyncExitStack() as stack:
        yield OnPostgres(stack)


@pytest_asyncio.fixture(loop_scope="module", params=KINDS)
async def database(
    request: pytest.FixtureRequest, tmp_path: Path, on_postgres: OnPostgres
) -> AsyncIterator[Database]:
    if request.param == "postgres":
        shared = await on_postgres.database()
        yield shared
        await shared.empty()
        return
    async with empty(request.param, tmp_path) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def persistence(database: Database, on_postgres: OnPostgres) -> AsyncIterator[Persistence]:
    if isinstance(database, PostgresDatabase):
        yield await on_postgres.adapter("persistence")
        return
    async with database.connect() as persistence:
        yield persistence


@pytest_asyncio.fixture(loop_scope="module")
async def neighbour(
    database: Database, persistence: Persistence, on_postgres: OnPostgres
) -> AsyncIterator[Persistence]:
    """Another adapter to the same database, as another process would open it."""
    if isinstance(database, PostgresDatabase):
        yield await on_postgres.adapter("neighbour")
        return
    async with database.connect() as neighbour:
        yield neighbour


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.database import Database
from tests.contract.every_database import KINDS, empty
from tests.support.clock import FrozenClock

from runtara_domain.ports.persistence import Persistence


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with empty(request.param, tmp_path) as one:
        yield one


@pytest.fixture
async def persistence(database: Database) -> AsyncIterator[Persistence]:
    async with database.connect() as persistence:
        yield persistence


@pytest.fixture
async def neighbour(database: Database, persistence: Persistence) -> AsyncIterator[Persistence]:
    """Another adapter to the same database, as another process would open it."""
    async with database.connect() as neighbour:
        yield neighbour


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()

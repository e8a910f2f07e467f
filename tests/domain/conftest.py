"""The core on the in-memory adapter, at a time that stands still."""

from collections.abc import AsyncIterator

import pytest
from tests.domain.desk import Desk
from tests.support.clock import FrozenClock

from runtara_persistence.memory.persistence import MemoryPersistence


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def persistence() -> AsyncIterator[MemoryPersistence]:
    async with MemoryPersistence() as persistence:
        yield persistence


@pytest.fixture
def desk(persistence: MemoryPersistence, clock: FrozenClock) -> Desk:
    return Desk(persistence, clock)

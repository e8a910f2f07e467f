from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtara_persistence.sqlite.persistence import SqlitePersistence


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "x.db")


@pytest.fixture
async def persistence(path: str) -> AsyncIterator[SqlitePersistence]:
    async with SqlitePersistence(path) as persistence:
        yield persistence

"""Environments as processes of their own, with a core, on each database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.environment.real.fleet import Fleet, opened


# What depends on the database is tried on both before a release.
@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database."""
    kind: str = request.param
    return kind


@pytest.fixture
async def fleet(tmp_path: Path, database: str) -> AsyncIterator[Fleet]:
    """A core on an empty database, and no environment yet."""
    async with opened(tmp_path, database) as one:
        yield one

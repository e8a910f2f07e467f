from collections.abc import AsyncIterator

import pytest
from tests.domain.launching.world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as opened:
        yield opened

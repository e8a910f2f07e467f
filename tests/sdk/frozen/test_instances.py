"""Instances that commit f01a799 has left under way go on with this one."""

from pathlib import Path

import pytest
from tests.sdk.frozen.copies import DATABASES, MODULE, Replays
from tests.sdk.frozen.endings import RESTS, SENT

pytestmark = pytest.mark.usefixtures("unmeasured")

every_database = pytest.mark.parametrize("database", DATABASES)


@every_database
async def test_each_instance_goes_on_to_its_right_end(database: str, tmp_path: Path) -> None:
    """It may have waited for anything when it was frozen. Nothing is done twice."""
    async with DATABASES[database](tmp_path) as replays:
        await _tell(replays)
        made = await replays.saved("making-values", "work#1")
        found = await replays.run(
            {name: f"{MODULE}:{rest.workflow}" for name, rest in RESTS.items()}
            | {"making-values": f"{MODULE}:making_values"}
        )

    values = {"making-values": ["done", [made, "<after values>"], ["after values"]]}
    assert found == {name: rest.told() for name, rest in RESTS.items()} | values


async def _tell(replays: Replays) -> None:
    await replays.send(SENT)
    await replays.resume("paused")

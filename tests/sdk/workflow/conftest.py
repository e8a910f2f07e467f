"""A new probe for each test of workflows, whose runs end with it; a launcher of an instance."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.sdk.workflow.launches import Launcher
from tests.sdk.workflow.leftovers import end_runs
from tests.sdk.workflow.probe import probe
from tests.support.server_process import ServerProcess


@pytest.fixture(autouse=True)
def new_probe() -> None:
    """Let no test see what the steps of another have noted."""
    probe.reset()


@pytest_asyncio.fixture(autouse=True)
async def no_run_outlives_its_test() -> AsyncIterator[None]:
    """
    End the runs that a failed test has left.

    The end of the loop cancels a run and its workflow's tasks at once, and waits for all of them.
    The tasks are abandoned then, so it would wait for ever.
    """
    yield
    await end_runs(within=30)


@pytest.fixture
def launcher(tmp_path: Path, shared_server: ServerProcess, instance_id: str) -> Launcher:
    """A launcher of a new instance, on the server that the tests of a file share."""
    return Launcher(tmp_path, shared_server, instance_id=instance_id)

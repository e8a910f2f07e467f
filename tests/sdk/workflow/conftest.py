"""A new probe for each test of workflows; a launcher of an instance of its own."""

from pathlib import Path

import pytest
from tests.sdk.workflow.launches import Launcher
from tests.sdk.workflow.probe import probe
from tests.support.server_process import ServerProcess


@pytest.fixture(autouse=True)
def new_probe() -> None:
    """Let no test see what the steps of another have noted."""
    probe.reset()


@pytest.fixture
def launcher(tmp_path: Path, shared_server: ServerProcess, instance_id: str) -> Launcher:
    """A launcher of a new instance, on the server that the tests of a file share."""
    return Launcher(tmp_path, shared_server, instance_id=instance_id)

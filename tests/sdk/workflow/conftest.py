"""A new probe for each test of workflows."""

import pytest
from tests.sdk.workflow.probe import probe


@pytest.fixture(autouse=True)
def new_probe() -> None:
    """Let no test see what the steps of another have noted."""
    probe.reset()

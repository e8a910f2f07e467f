"""A run that does not end fails its test with its name, long before the limit of all tests."""

from typing import cast
from unittest.mock import Mock

import pytest
from tests.sdk.workflow.leftovers import end_runs

from runtara_sdk.workflow.engine.execution import Execution, under_way


async def test_a_run_that_does_not_end_fails_its_test() -> None:
    stuck = cast(Execution, Mock(instance_id="order-17"))
    under_way().add(stuck)
    with pytest.raises(pytest.fail.Exception, match=r"did not in 0\.05 s: order-17"):
        await end_runs(within=0.05)

    assert not under_way()

"""What every folder of tests may use."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A machine that does other work as well is slow: no test fails for that.
settings.register_profile("slow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("slow")


@pytest.fixture(scope="module")
def unmeasured() -> Iterator[None]:
    """
    Start the module's processes without coverage.

    Tracing takes a process two to five times the CPU. It is for the modules whose processes run
    code that no other test runs, not for storms, floods and whole programs.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
            patch.delenv(name)
        yield

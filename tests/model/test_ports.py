import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.contract.database import Database, MemoryDatabase, SqliteDatabase
from tests.contract.postgres import PostgresDatabase
from tests.model.rules import PortsMachine
from tests.support import postgres
from tests.support.sqlite import migrated_file

# Examples a test: about as long for each but memory, which is the reference as well.
ADAPTERS = {"memory": 20, "sqlite": 30, "postgres": 12}
LONG_EXAMPLES = {"memory": 160, "sqlite": 240, "postgres": 200}

# A mutant is only to be caught: the smallest example is not needed.
_SHRINKS = os.environ.get("RUNTARA_TEST_SHRINK") != "no"

QUICK = settings(
    stateful_step_count=40,
    # The same examples each time: what fails in CI fails here.
    derandomize=True,
    database=None,
    deadline=None,
    phases=[phase for phase in Phase if _SHRINKS or phase is not Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
LONG = settings(QUICK, stateful_step_count=80, derandomize=False)

# Seconds: three minutes for the examples, twice that beside others, and what Hypothesis takes at
# most to shrink one that fails.
PATIENCE = 2 * 180 + 300 + 60


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_does_what_the_model_does(adapter: str, tmp_path: Path) -> None:
    """Outcomes and stored data agree for any order of steps, runs, clocks and restarts."""
    run_state_machine_as_test(
        _machine(adapter, tmp_path), settings=settings(QUICK, max_examples=ADAPTERS[adapter])
    )


@pytest.mark.long
@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_does_what_the_model_does_for_long(adapter: str, tmp_path: Path) -> None:
    """The same, at random and far longer."""
    run_state_machine_as_test(
        _machine(adapter, tmp_path), settings=settings(LONG, max_examples=LONG_EXAMPLES[adapter])
    )


def _machine(adapter: str, folder: Path) -> type[PortsMachine]:
    class Machine(PortsMachine):
        def __init__(self) -> None:
            super().__init__(lambda: _opened(adapter, folder))

    return Machine


@contextmanager
def _opened(adapter: str, folder: Path) -> Iterator[Database]:
    match adapter:
        case "memory":
            yield MemoryDatabase()
        case "postgres":
            with postgres.migrated_database() as url:
                yield PostgresDatabase(url)
        case _:
            with TemporaryDirectory(dir=folder) as path:
                yield SqliteDatabase(migrated_file(Path(path) / "x.db"))

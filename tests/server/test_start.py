"""What a server does not load, having no use for it: half of its start is imports."""

import subprocess
import sys

import pytest

PROGRAM = """\
import sys
from runtara_server.config import Settings
from runtara_server.runtime import CoreRuntime

CoreRuntime(Settings(database_url=sys.argv[1])).persistence
print(*sys.modules)
"""


@pytest.mark.parametrize(
    ("url", "driver", "other"),
    [
        ("sqlite::memory:", "aiosqlite", "asyncpg"),
        ("postgresql://me@localhost/x", "asyncpg", "aiosqlite"),
    ],
)
def test_only_the_driver_of_its_database_is_loaded(url: str, driver: str, other: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, url], capture_output=True, text=True, check=True
    )

    loaded = set(ended.stdout.split())
    assert {driver} == loaded & {driver, other}


COMMAND = """\
import gc, sys
from runtara_server.__main__ import main

sys.argv = ["runtara-server", "--help"]
try:
    main()
finally:
    print(gc.isenabled(), gc.get_freeze_count() > 10_000, file=sys.stderr)
"""


def test_what_is_loaded_is_not_looked_through_for_garbage() -> None:
    """What comes after it is."""
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND], capture_output=True, text=True, check=True
    )

    assert ended.stderr.split() == ["True", "True"]

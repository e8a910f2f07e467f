"""What commands import before their first byte, which is most of the time that it takes."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtara_cli import codes
from runtara_persistence.connect import connect

CLIENT = {"aioquic", "cryptography"}
DRIVERS = {"aiosqlite", "asyncpg"}
NEVER = {"pydantic", "runtara_sdk.workflow", "runtara_server", "uvloop"}
"""What no command needs that only asks and shows."""
UNCONNECTED = CLIENT | DRIVERS | NEVER | {
    *("asyncio", "google", "sqlite3"),
    *("runtara_domain", "runtara_environment", "runtara_management_sdk", "runtara_sdk"),
}  # fmt: skip
FEW, MANY = 260, 460
"""Modules: those of Python itself and click are about 200."""

_COUNTED = """
import json, sys
from runtara_cli.__main__ import main
try:
    main()
finally:
    sys.stderr.write("\\n" + json.dumps(sorted(sys.modules)))
"""


def loaded(*arguments: str, code: int, **variables: str) -> set[str]:
    """Give a command that ends so; gives the modules that it has imported, MANY at most."""
    others = {name: value for name, value in os.environ.items() if name[:8] != "RUNTARA_"}
    run = subprocess.run(
        [sys.executable, "-c", _COUNTED, *arguments],
        env={**others, **variables},
        capture_output=True,
        text=True,
    )
    assert run.returncode == code, run.stderr
    modules: set[str] = set(json.loads(run.stderr.splitlines()[-1]))
    assert len(modules) <= MANY
    return modules


async def made(url: str) -> None:
    async with connect(url, migrates=True):
        """Make a database."""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("--help",), codes.DONE), (("list", "--help"), codes.DONE), (("strat",), codes.USAGE)],
)
def test_help_and_errors_import_neither_event_loop_nor_client(
    arguments: tuple[str, ...], code: int
) -> None:
    modules = loaded(*arguments, code=code)

    assert UNCONNECTED.isdisjoint(modules)
    assert len(modules) <= FEW


def test_a_list_of_a_database_imports_no_connection(tmp_path: Path) -> None:
    """It imports neither the adapter of another database nor the steps of the one in memory."""
    url = f"sqlite:{tmp_path}/core.db"
    asyncio.run(made(url))
    modules = loaded("list", "--database-url", url, code=codes.DONE)

    others = {"asyncpg", "runtara_persistence.memory", "runtara_domain.launching.launcher"}
    others |= {"runtara_schedules", "cronsim", "runtara_protocol.pb.instance_pb2"}
    others |= {"runtara_domain.model.interventions", "runtara_domain.model.instance_copies"}
    assert modules.isdisjoint(CLIENT | NEVER | others)


def test_a_list_over_the_port_imports_no_database() -> None:
    """It connects to a port where nothing listens."""
    modules = loaded(
        "list",
        code=codes.UNREACHABLE,
        RUNTARA_ENVIRONMENT_ADDR="127.0.0.1:9",
        RUNTARA_CONNECT_TIMEOUT_MS="1",
    )

    assert modules.isdisjoint(DRIVERS | NEVER | {"runtara_domain", "sqlite3"})
    assert modules >= CLIENT

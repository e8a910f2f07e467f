"""What commands import before their first byte, which is most of the time that it takes."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from tests.support.postgres import migrated_database

from runtara_cli import codes
from runtara_persistence.connect import connect

CLIENT = {"aioquic", "cryptography"}
DRIVERS = {"aiosqlite", "asyncpg"}
NEVER = {"pydantic", "runtara_sdk.workflow", "runtara_server", "uvloop"}
"""What no command needs that only asks and shows."""
UNCONNECTED = CLIENT | DRIVERS | NEVER | {
    *("asyncio", "google", "sqlite3"),
    *("runtara_domain.error", "runtara_environment", "runtara_management_sdk", "runtara_sdk"),
}  # fmt: skip
FEW, MANY = 260, 413
"""Modules: those of Python itself and click are about 200."""
OF_A_DATABASE = 350
"""Modules of a command on a PostgreSQL database: 240 are those of Python, click and asyncpg."""

FILL = """
INSERT INTO images (image_id, tenant_id, name, runner_type, binary_path)
VALUES ('image', 't', 'app', 'python', '/app');
INSERT INTO environments (
    environment_id, kind, machine, boot_id, version, capacity, workflows, started_at, lease_until
)
VALUES ('here', 'environment', 'm', 'b', '1', 9, '[]', now(), now() + interval '1 hour');
INSERT INTO instances (instance_id, tenant_id, status, created_at, image_id, waits, sleep_until)
VALUES (
    'i', 't', 'suspended', now(), 'image', '[{"kind": "signal", "name": "approval"}]',
    now() + interval '1 day'
);
INSERT INTO launches (
    launch_id, instance_id, number, environment_id, tenant_id, created_at, closed_at
)
VALUES ('l', 'i', 1, 'here', 't', now(), now());
INSERT INTO checkpoints (instance_id, checkpoint_id, state) VALUES ('i', 'step#1', '{}');
INSERT INTO instance_events (instance_id, event_type) VALUES ('i', 'started');
"""

_COUNTED = """
import json, sys
from runtara_cli.cli import runtara
try:
    runtara(prog_name="runtara")
finally:
    sys.stderr.write("\\n" + json.dumps({
        name: sum("__dataclass_fields__" in vars(each) for each in vars(module).values()
                  if isinstance(each, type) and each.__module__ == name)
        for name, module in sys.modules.items()
    }))
"""


def loaded(*arguments: str, code: int, **variables: str) -> set[str]:
    """Give a command that ends so; gives the modules that it has imported, MANY at most."""
    return set(counted(*arguments, code=code, **variables))


def counted(*arguments: str, code: int, **variables: str) -> dict[str, int]:
    """Give a command that ends so; gives the number of dataclasses in each imported module."""
    others = {name: value for name, value in os.environ.items() if name[:8] != "RUNTARA_"}
    run = subprocess.run(
        [sys.executable, "-c", _COUNTED, *arguments],
        env={**others, **variables},
        capture_output=True,
        text=True,
    )
    assert run.returncode == code, run.stderr
    modules: dict[str, int] = json.loads(run.stderr.splitlines()[-1])
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


@pytest.mark.parametrize(
    ("command", "most"), [(("list",), 24), (("show", "i"), 38), (("explain", "i"), 38)]
)
def test_what_reads_a_database_imports_little_more_than_what_it_shows(
    command: tuple[str, ...], most: int
) -> None:
    """Each dataclass takes a fifth of a millisecond and more, and there are over two hundred."""
    with migrated_database() as url:
        asyncio.run(filled(url))
        modules = counted(*command, "--database-url", url, code=codes.DONE)

    assert len(modules) <= OF_A_DATABASE
    assert sum(number for name, number in modules.items() if name[:7] == "runtara") <= most
    assert not set(modules) & {
        "importlib.resources",
        "sqlite3",
        "tempfile",
        "runtara_domain.launching.room",
    }


async def filled(url: str) -> None:
    """Put an instance in that sleeps, with a checkpoint, an event and a launch."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(FILL)
    finally:
        await connection.close()


def test_a_list_over_the_port_imports_no_database() -> None:
    """It connects to a port where nothing listens."""
    modules = loaded(
        "list",
        code=codes.UNREACHABLE,
        RUNTARA_ENVIRONMENT_ADDR="127.0.0.1:9",
        RUNTARA_CONNECT_TIMEOUT_MS="1",
    )

    assert modules.isdisjoint(DRIVERS | NEVER | {"runtara_domain.error", "sqlite3"})
    assert modules >= CLIENT

"""What is installed without the extra `postgres`: embedded SQLite works, PostgreSQL says how to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.runtara.conftest import ROOT

PROGRAM = """
import asyncio
import sys

sys.modules["asyncpg"] = None  # As if it were not installed.

from runtara import ConfigurationError, Worker, connect
from runtara_migrations.ledger import MigrationError
from runtara_migrations.migrate import migrate
from tests.runtara.shop import Order, steps

URL = "postgresql://ann:secret@db/shop"


async def main() -> None:
    async with connect() as client, Worker(steps):
        handle = await client.start(steps, 2)
        print(await handle.result(timeout="60s"))
    try:
        async with connect(URL):
            pass
    except ConfigurationError as error:
        print(error)
    try:
        await migrate(URL)
    except MigrationError as error:
        print(error)


if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.slow
def test_sqlite_needs_no_driver_for_postgresql(tmp_path: Path) -> None:
    """In the worker's process and in the child that runs the instance: both run the module."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    run = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env={
            **os.environ,
            "RUNTARA_DATABASE_URL": "sqlite:shop.db",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert run.returncode == 0, run.stderr
    result, connecting, migrating = run.stdout.splitlines()
    assert result == "2"
    assert connecting.endswith("pip install 'runtara[postgres]'")
    assert migrating.endswith("pip install 'runtara-migrations[postgres]'")
    assert "secret" not in run.stdout + run.stderr

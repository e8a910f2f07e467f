"""Which files are migrated, and which are refused."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from runtara_migrations.ledger import MigrationError, packaged
from runtara_migrations.migrate import migrate

ALL = tuple(migration.name for migration in packaged("sqlite"))
COMMAND = [sys.executable, "-m", "runtara_migrations"]


def test_a_missing_file_and_its_folder_are_created(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.db"

    applied = asyncio.run(migrate(f"sqlite://{path}"))

    assert applied == ALL
    assert path.is_file()


def test_a_database_in_memory_is_migrated() -> None:
    assert asyncio.run(migrate("sqlite::memory:")) == ALL


def test_a_rust_made_file_is_refused_in_one_line(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY)")
    before = path.read_bytes()

    with pytest.raises(MigrationError, match="made by the Rust server") as caught:
        asyncio.run(migrate(f"sqlite:{path}"))

    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)

    with pytest.raises(MigrationError, match="file is not a database"):
        asyncio.run(migrate(f"sqlite:{path}"))

    assert path.read_bytes() == b"no database at all" * 100


def test_a_folder_that_cannot_be_made_is_named(path: Path) -> None:
    path.touch()

    with pytest.raises(MigrationError, match=str(path)):
        asyncio.run(migrate(f"sqlite:{path}/x.db"))


def test_of_ten_processes_at_once_one_applies_each(path: Path) -> None:
    processes = [
        subprocess.Popen([*COMMAND, f"sqlite:{path}"], stdout=subprocess.PIPE, text=True)
        for _ in range(10)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in processes]

    assert [process.returncode for process in processes] == [0] * 10
    applied = "".join(outputs).replace("up to date\n", "").splitlines()
    assert sorted(applied) == [f"applied {name}" for name in ALL]
    assert all(output.endswith("up to date\n") for output in outputs)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60)


def test_the_command_says_what_it_did(path: Path) -> None:
    first, second = run(f"sqlite:{path}"), run(f"sqlite:{path}")

    applied = "".join(f"applied {name}\n" for name in ALL)
    assert (first.returncode, first.stdout) == (0, f"{applied}up to date\n")
    assert (second.returncode, second.stdout) == (0, "up to date\n")
    assert first.stderr == second.stderr == ""


def test_the_command_fails_in_one_line(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)

    failed = run(f"sqlite:{path}")

    assert failed.returncode == 1
    assert failed.stderr == f"not migrated: {path}: file is not a database\n"


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["mysql://x"]])
def test_the_command_misused_says_how_to_use_it(arguments: list[str]) -> None:
    misused = run(*arguments)

    assert misused.returncode == 2
    assert "usage: python -m runtara_migrations" in misused.stderr

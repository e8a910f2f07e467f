"""What processes that share a file can rely on."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from runtara_migrations.migrate import migrate

WORKER = [sys.executable, "-m", "tests.persistence.sqlite_worker"]


def start(program: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*WORKER, program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("migrated", [False, True])
def test_of_sixteen_processes_exactly_one_saves(tmp_path: Path, migrated: bool) -> None:
    """They open or create the file together, too, and register the same instance."""
    path = tmp_path / "x.db"
    if migrated:
        asyncio.run(migrate(f"sqlite:{path}"))
    processes = [start("race", path) for _ in range(16)]
    assert [hear(process) for process in processes] == ["ready"] * 16

    for process in processes:
        tell(process, "go\n")
    answers = [process.communicate(timeout=60)[0].strip() for process in processes]

    [winner] = [
        process for process, answer in zip(processes, answers, strict=True) if answer == "fresh"
    ]
    assert sorted(answers) == sorted(["fresh"] + [str(winner.pid)] * 15)
    assert [process.returncode for process in processes] == [0] * 16
    assert stored(path, "SELECT run_epoch FROM instances") == [(16,)]
    assert stored(path, "SELECT count(*) FROM instance_events") == [(16,)]


def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    process = start("acknowledge", path)
    acknowledged = {hear(process) for _ in range(200)}

    process.kill()
    assert process.stdout is not None
    # Not by `communicate`: it passes over what `readline` has read ahead.
    acknowledged |= set(process.stdout.read().split())
    process.communicate(timeout=60)

    kept = {
        checkpoint_id for (checkpoint_id,) in stored(path, "SELECT checkpoint_id FROM checkpoints")
    }
    assert len(acknowledged) >= 200
    assert acknowledged <= kept
    assert len(kept - acknowledged) <= 8


@pytest.mark.parametrize("groups", range(1, 6))
def test_what_was_acknowledged_last_survives_sigkill(tmp_path: Path, groups: int) -> None:
    """No later save is needed to have it committed: none is under way when the process dies."""
    path = tmp_path / "x.db"
    process = start("acknowledge-line-by-line", path)
    acknowledged = set()
    for number in range(groups):
        tell(process, f"{number}\n")
        acknowledged |= {hear(process) for _ in range(8)}

    process.kill()
    process.communicate(timeout=60)

    kept = {
        checkpoint_id for (checkpoint_id,) in stored(path, "SELECT checkpoint_id FROM checkpoints")
    }
    assert len(acknowledged) == 8 * groups
    assert kept == acknowledged


def stored(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_a_write_that_the_kernel_forbids_is_quoted_by_name(tmp_path: Path) -> None:
    done = subprocess.run(
        [*WORKER, "forbidden", str(tmp_path / "x.db")],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "the system says EPERM (Operation not permitted)" in done.stdout, done.stderr

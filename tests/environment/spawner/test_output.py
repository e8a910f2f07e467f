"""What launched processes write."""

import os
import resource
import subprocess
import sys
from pathlib import Path

from tests.environment.spawner.conftest import SpawnerClient, SpawnerProcess
from tests.support.server_process import environment

from runtara_environment.spawner.output import lost


def test_standard_output_and_error_go_to_one_log(
    spawner: SpawnerProcess, client: SpawnerClient
) -> None:
    """The log has the order of writing."""
    spawner.launch(client, "a", "/bin/sh", "-c", "echo one; echo two >&2; echo three")
    client.ended("a")

    assert (spawner.folder / "a" / "stderr.log").read_text() == "one\ntwo\nthree\n"
    assert not (spawner.folder / "a" / "output.pipe").exists()


def test_a_log_is_bounded(spawner: SpawnerProcess, client: SpawnerClient) -> None:
    """The newest half and the half before it are kept."""
    script = "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done"
    spawner.launch(client, "a", "/bin/sh", "-c", script, max_log_bytes=10_000)
    client.ended("a")

    older = (spawner.folder / "a" / "stderr.log.1").read_bytes()
    newer = (spawner.folder / "a" / "stderr.log").read_bytes()
    assert len(older) == 5_000
    assert len(newer) <= 5_000
    assert (older + newer).endswith(b"line 4998\nline 4999\n")
    lines = (older + newer).split(b"\n")[1:-1]
    numbers = [int(line.removeprefix(b"line ")) for line in lines]
    assert numbers == list(range(numbers[0], 5000))
    written = sum(len(f"line {number}\n") for number in range(5000))
    assert lost(spawner.folder / "a") + len(older) + len(newer) == written


def test_a_disk_that_takes_no_more_stops_the_log_and_not_the_work(tmp_path: Path) -> None:
    """The process writes more than the disk takes, and ends as it would have."""
    program = f"""
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, {resource.RLIM_INFINITY}))
import runpy
sys.argv = ["spawner", {str(tmp_path / "s")!r}, "--idle-s", "0.2"]
runpy.run_module("runtara_environment.spawner", run_name="__main__")
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment({}, is_measured=False)
    )
    spawner = SpawnerProcess.__new__(SpawnerProcess)
    spawner.folder, spawner.socket, spawner.process = tmp_path, tmp_path / "s", process
    spawner._clients = []
    client = spawner.client()
    spawner.launch(client, "a", "/bin/sh", "-c", "head -c 100000 /dev/zero; exit 7")

    ended = client.ended("a")
    client.close()

    assert ended["exit_code"] == 7
    assert (tmp_path / "a" / "stderr.log").stat().st_size == 4096
    assert process.wait(60) == 0


def test_a_process_that_closes_its_output_keeps_the_spawner_idle(
    spawner: SpawnerProcess, client: SpawnerClient
) -> None:
    """The end of the pipe is reported once, not for ever."""
    script = "exec >/dev/null 2>&1; touch closed; exec sleep 1000"
    spawner.launch(client, "a", "/bin/sh", "-c", script)
    while not (spawner.folder / "a" / "closed").exists():
        client.ask(do="hello")

    before = os.times()
    used = _cpu_seconds(spawner.process.pid)
    for _ in range(50):
        client.ask(do="hello")
    subprocess.run(["/bin/sleep", "0.5"], check=True)  # Time in which it would spin.
    used = _cpu_seconds(spawner.process.pid) - used
    waited = os.times().elapsed - before.elapsed

    assert used < 0.5 * waited


def test_a_log_is_never_written_through_a_link(
    spawner: SpawnerProcess, client: SpawnerClient, tmp_path: Path
) -> None:
    """A link in the launch's folder is refused, so that no other file is written."""
    (tmp_path / "a").mkdir()
    (tmp_path / "precious").write_text("as it was")
    (tmp_path / "a" / "stderr.log").symlink_to(tmp_path / "precious")

    assert "error" in spawner.launch(client, "a", "/bin/echo", "over it")
    assert (tmp_path / "precious").read_text() == "as it was"


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

"""Memory and CPU of a launch, bounded and measured."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from tests.environment.spawner.conftest import SpawnerClient, SpawnerProcess

from runtara_domain.model.launch_ends import Cause
from runtara_environment.placements.endings import end_of
from runtara_environment.spawner.cgroups import Cgroup, Limits, create
from runtara_environment.spawner.children import Child
from runtara_environment.spawner.output import OutputLog

MIB = 1024 * 1024


def test_a_process_over_its_memory_is_killed_and_its_end_says_so(
    spawner: SpawnerProcess, client: SpawnerClient
) -> None:
    """The kernel's kill at the launch's own limit differs from any other SIGKILL."""
    program = "data = bytearray(300 * 1024 * 1024)"
    limits = {"memory_bytes": 100 * MIB, "cpus": None}
    spawner.launch(client, "a", sys.executable, "-c", program, limits=limits)

    ended = client.ended("a")

    assert ended["is_out_of_memory"]
    assert ended["signal"] == 9
    assert 50 * MIB < ended["memory_peak_bytes"] <= 100 * MIB


def test_a_grandchild_over_the_memory_is_reported_too(
    spawner: SpawnerProcess, client: SpawnerClient
) -> None:
    """The launch's own process may end well."""
    program = f"{sys.executable} -c 'bytearray(300 * 1024 * 1024)'; exit 0"
    limits = {"memory_bytes": 100 * MIB, "cpus": None}
    spawner.launch(client, "a", "/bin/sh", "-c", program, limits=limits)

    ended = client.ended("a")

    assert ended["is_out_of_memory"]
    assert ended["exit_code"] == 0


def test_the_peak_is_the_launch_s_own(spawner: SpawnerProcess, client: SpawnerClient) -> None:
    """Memory and CPU of a process that needs some, and of one that needs nearly none."""
    spawner.launch(
        client, "a", sys.executable, "-c", "bytearray(80 * 1024 * 1024); sum(range(9**7))"
    )
    spawner.launch(client, "b", "/bin/true")

    large, small = client.ended("a"), client.ended("b")

    assert large["memory_peak_bytes"] > 80 * MIB > 40 * MIB > small["memory_peak_bytes"]
    assert large["cpu_usage_usec"] > small["cpu_usage_usec"]


def test_cpu_is_bounded(tmp_path: Path) -> None:
    """The kernel has the quota that the launch asked for."""
    group = create(f"test-{os.getpid()}-cpu", Limits(cpus=0.25))

    folder = group.folders["cpu"]
    if group.is_v2:
        assert (folder / "cpu.max").read_text().split() == ["25000", "100000"]
    else:
        assert (folder / "cpu.cfs_quota_us").read_text().strip() == "25000"
    assert group.remove()
    assert not folder.exists()


def test_without_control_groups_nothing_is_bounded_and_nothing_breaks(tmp_path: Path) -> None:
    """Where they can't be written, figures are missing."""
    (tmp_path / "cgroup.controllers").touch()
    (tmp_path / "runtara").touch()

    group = create("x", Limits(memory_bytes=1), root=tmp_path)

    assert group == Cgroup()
    group.enter()
    assert (group.memory_peak(), group.cpu_usec(), group.memory_kills()) == (None, None, 0)
    assert group.remove()


def test_version_2_is_written_as_the_kernel_wants_it(tmp_path: Path) -> None:
    """Machines with the newer control groups have other files and names."""
    (tmp_path / "cgroup.controllers").touch()

    group = create("x", Limits(memory_bytes=5 * MIB, cpus=2), root=tmp_path)

    folder = tmp_path / "runtara" / "x"
    assert (folder / "memory.max").read_text() == str(5 * MIB)
    assert (folder / "cpu.max").read_text() == "200000 100000"
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory +cpu"
    (folder / "memory.peak").write_text("1234\n")
    (folder / "cpu.stat").write_text("usage_usec 99\nuser_usec 90\n")
    (folder / "memory.events").write_text("low 0\noom 1\noom_kill 2\n")
    assert (group.memory_peak(), group.cpu_usec(), group.memory_kills()) == (1234, 99, 2)
    assert group.was_full()


@pytest.mark.parametrize("is_v2", [True, False])
def test_a_kill_without_reaching_the_limit_is_the_machine_s(tmp_path: Path, is_v2: bool) -> None:
    """The kernel counts both kinds of kills as one, and tells how far the limit was."""
    (tmp_path / "memory.events").write_text("low 0\nmax 9\noom 0\noom_kill 1\n")
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\noom_kill 1\n")
    (tmp_path / "memory.limit_in_bytes").write_text("104857600\n")
    (tmp_path / "memory.max_usage_in_bytes").write_text("4096000\n")
    (tmp_path / "cgroup.procs").write_text("")
    program = subprocess.Popen(["/bin/false"])
    output = OutputLog(tmp_path, 1000)
    child = Child("a", program.pid, output, Cgroup({"memory": tmp_path}, is_v2=is_v2))
    child._process = program

    ended = child.reap()

    assert (ended.is_out_of_memory, ended.is_machine_out_of_memory) == (False, True)
    assert end_of(ended.as_message(), False).cause is Cause.MACHINE_OUT_OF_MEMORY


def test_launches_have_the_limit_of_open_files_that_the_spawner_was_started_with(
    tmp_path: Path,
) -> None:
    """The spawner itself has as many as the system allows, because it has some for each launch."""
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (500, usual[1]))
    try:
        spawner = SpawnerProcess(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    client = spawner.client()
    spawner.launch(client, "a", "/bin/sh", "-c", "ulimit -n")
    client.ended("a")
    own = resource.prlimit(spawner.process.pid, resource.RLIMIT_NOFILE)
    spawner.close()

    assert own == (usual[1], usual[1])
    assert (tmp_path / "a" / "stderr.log").read_text() == "500\n"

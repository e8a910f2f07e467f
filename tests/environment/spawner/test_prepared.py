"""Processes that a warm interpreter prepares before there is a launch for them."""

import errno
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.environment.spawner.conftest import SpawnerClient, SpawnerProcess
from tests.environment.spawner.test_processes import ends

from runtara_environment.spawner import cgroups, interpreters
from runtara_environment.spawner.cgroups import Cgroup, Limits
from runtara_environment.spawner.interpreters import WarmInterpreters
from runtara_environment.spawner.prepared import Forked, WarmLaunch
from runtara_environment.spawner.warm import NotWarm

PROGRAM = """
import os, sys
print(sys.argv[1:], os.environ["WORD"], "WORDS" in os.environ, os.getcwd(), os.getsid(0))
exec(sys.argv[1])
"""
MIB = 1024 * 1024
_PATIENCE_S = 60.0


@pytest.fixture
def image(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "program.py").write_text(PROGRAM)
    return {
        "key": "image-1",
        "python": sys.executable,
        "modules": ["json"],
        "env": {"PYTHONPATH": str(tmp_path / "code"), "PATH": os.environ["PATH"], "WORDS": ""},
        "cwd": str(tmp_path / "code"),
    }


def launch(
    spawner: SpawnerProcess,
    client: SpawnerClient,
    name: str,
    image: dict[str, Any],
    code: str = "pass",
    **more: Any,
) -> int:
    """Launch a program that runs this code; gives its pid."""
    env = {"WORD": f"word of {name}", "PATH": os.environ["PATH"]}
    answer = spawner.launch(client, name, "program", code, warm=image, env=env, **more)
    return int(answer["ok"]["pid"])


def until(found: Callable[[], Any]) -> Any:
    """Wait for something to be there."""
    deadline = time.monotonic() + _PATIENCE_S
    while not (value := found()):
        assert time.monotonic() < deadline, "it has not come"
        time.sleep(0.01)  # The kernel tells of no such change.
    return value


def children(spawner: SpawnerProcess) -> list[int]:
    """Give the pids of a spawner's children, also of those that have ended."""
    pid = spawner.process.pid
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def folders(group: str | None) -> list[Path]:
    """Give the folders of a control group, of either version."""
    return [path for where in ("", "*/") for path in cgroups.ROOT.glob(f"{where}runtara/{group}")]


def sockets(pid: int) -> int:
    """Count the sockets that a process has open."""
    found = Path(f"/proc/{pid}/fd").iterdir()
    # One may have been closed since.
    return sum("socket:" in str(os.path.realpath(file)) for file in found)


def one_prepared(client: SpawnerClient) -> int:
    """Wait for a prepared process; gives its pid."""
    [pid] = until(lambda: client.ask(do="hello")["ok"]["prepared"])
    return int(pid)


def test_a_launch_goes_on_in_the_prepared_process(
    spawner: SpawnerProcess, client: SpawnerClient, image: dict[str, Any]
) -> None:
    """It has its own arguments, variables, folder, session, output and exit code."""
    launch(spawner, client, "a", image)
    client.ended("a")
    waiting = one_prepared(client)

    pid = launch(spawner, client, "b", image, "sys.exit(7)")

    assert pid == waiting
    assert client.ended("b")["exit_code"] == 7
    log = (spawner.folder / "b" / "stderr.log").read_text()
    assert log == f"['sys.exit(7)'] word of b False {spawner.folder / 'b'} {pid}\n"
    assert one_prepared(client) != waiting


def test_more_launches_than_are_prepared_are_forked(
    spawner: SpawnerProcess, client: SpawnerClient, image: dict[str, Any]
) -> None:
    """Each runs once, in a process of its own."""
    launch(spawner, client, "a", image)
    client.ended("a")
    one_prepared(client)

    pids = {launch(spawner, client, name, image, "import time; time.sleep(99)") for name in "bcd"}

    assert len(pids) == 3
    for name in "bcd":
        client.ask(do="signal", launch_id=name, signal=signal.SIGKILL)
        assert client.ended(name)["signal"] == 9


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_prepared_process_that_was_killed_costs_no_launch(
    spawner: SpawnerProcess, client: SpawnerClient, image: dict[str, Any], number: int
) -> None:
    """The next launch is forked."""
    launch(spawner, client, "a", image)
    client.ended("a")
    waiting = one_prepared(client)
    os.kill(waiting, number)

    assert launch(spawner, client, "b", image) != waiting
    assert client.ended("b")["exit_code"] == 0
    assert until(lambda: waiting not in children(spawner))


def test_prepared_processes_end_with_their_interpreter(
    spawner: SpawnerProcess, client: SpawnerClient, image: dict[str, Any]
) -> None:
    """Killed, it takes them along; the next launch finds others."""
    launch(spawner, client, "a", image)
    client.ended("a")
    waiting = one_prepared(client)
    [interpreter] = [pid for pid in children(spawner) if pid != waiting]

    os.kill(interpreter, signal.SIGKILL)

    assert ends(waiting)
    assert until(lambda: not children(spawner))
    assert launch(spawner, client, "b", image)


def test_prepared_processes_end_with_their_spawner(
    spawner: SpawnerProcess, client: SpawnerClient, image: dict[str, Any]
) -> None:
    """Killed by SIGKILL, it takes them along, and the next spawner removes their groups."""
    launch(spawner, client, "a", image)
    client.ended("a")
    waiting = one_prepared(client)
    group = cgroups.name_of(waiting)
    spawner.kill()

    assert ends(waiting)
    assert group is not None
    again = SpawnerProcess(spawner.folder)
    again.client()
    assert until(lambda: not folders(group))
    again.close()


def test_a_prepared_process_has_the_limits_of_its_launch(
    spawner: SpawnerProcess, client: SpawnerClient, image: dict[str, Any]
) -> None:
    """A kill for memory is known as one; with other limits than it was prepared for it is none."""
    limits = {"memory_bytes": 100 * MIB, "cpus": None}
    launch(spawner, client, "a", image, limits=limits)
    client.ended("a")
    waiting = one_prepared(client)
    hungry = "bytearray(300 * 1024 * 1024)"

    assert launch(spawner, client, "b", image, hungry, limits=limits) == waiting
    ended = client.ended("b")
    assert (ended["signal"], ended["is_out_of_memory"]) == (9, True)
    waiting = one_prepared(client)
    more = {"memory_bytes": 900 * MIB, "cpus": None}
    assert launch(spawner, client, "c", image, hungry, limits=more) != waiting
    assert client.ended("c")["exit_code"] == 0
    assert not Path(f"/proc/{waiting}").exists()


def test_a_launch_that_was_prepared_is_taken_over(
    spawner: SpawnerProcess, client: SpawnerClient, image: dict[str, Any], tmp_path: Path
) -> None:
    """The next spawner finds its group, so all its processes end with it; the group goes, too."""
    launch(spawner, client, "a", image)
    client.ended("a")
    waiting = one_prepared(client)
    script = (
        "import subprocess, time\n"
        "one = subprocess.Popen(['sleep', '99'], start_new_session=True)\n"
        "open('child', 'w').write(f'{one.pid} ')\n"
        "time.sleep(99)"
    )
    started = spawner.launch(
        client,
        "b",
        *("program", script),
        warm=image,
        env={"WORD": "", "PATH": os.environ["PATH"]},
    )["ok"]
    assert started["pid"] == waiting
    file = spawner.folder / "b" / "child"
    child = int(until(lambda: file.exists() and file.read_text().strip()))
    group = cgroups.name_of(waiting)
    spawner.kill()
    again = SpawnerProcess(spawner.folder)
    asking = again.client()

    adopted = asking.ask(
        do="adopt",
        launch_id="b",
        **started,
        folder=str(spawner.folder / "b"),
        max_log_bytes=1000,
        cgroup="b",
    )
    asking.ask(do="signal", launch_id="b", signal=signal.SIGKILL)

    assert adopted["ok"] == started
    assert asking.ended("b")["exit_code"] is None
    assert ends(child)
    assert until(lambda: not folders(group))
    again.close()


class Interpreters:
    """Warm interpreters of this process, and the answers to their launches."""

    def __init__(self, image: dict[str, Any], output: int) -> None:
        self.image, self.output = image, output
        self.selector = selectors.DefaultSelector()
        self.answers: list[Forked | NotWarm] = []
        self.left: list[Cgroup] = []
        self.warm = WarmInterpreters(
            self.selector, self.left.append, most=1, idle_s=1000, prepared=1
        )

    def launch(self, **image: Any) -> None:
        """Launch a program that ends at once; image: what differs in its image."""
        launch = WarmLaunch(
            warm={**self.image, **image},
            limits=Limits(),
            group=f"test-{os.getpid()}-{len(self.answers)}",
            order={"argv": ["json.tool", "/dev/null"], "env": {}, "cwd": self.image["cwd"]},
            output=self.output,
            answered=self.answers.append,
        )
        self.warm.launch(launch)

    def until(self, found: Callable[[], Any]) -> Any:
        """Work until something is there."""

        def after_a_look() -> Any:
            for key, _ in self.selector.select(self.warm.attend() or 0.01):
                key.data()
            return found()

        return until(after_a_look)


@pytest.fixture
def own(image: dict[str, Any]) -> Iterator[Interpreters]:
    with Path(os.devnull).open("wb") as output:
        made = Interpreters(image, output.fileno())
        yield made
        made.warm.close()
    made.selector.close()
    groups = [one.cgroup for one in made.answers if isinstance(one, Forked)]
    assert until(lambda: all(group.remove() for group in (*made.left, *groups)))


def test_a_prepared_process_that_was_stopped_costs_no_launch(
    own: Interpreters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has some seconds to begin, and is killed; the launch is forked."""
    monkeypatch.setattr(interpreters, "_BEGIN_S", 0.2)
    own.launch()
    [waiting] = own.until(own.warm.prepared)
    os.kill(waiting, signal.SIGSTOP)
    own.launch()
    own.until(lambda: len(own.answers) == 2)

    first, second = own.answers
    assert isinstance(first, Forked)
    assert isinstance(second, Forked)
    assert len({first.pid, second.pid, waiting}) == 3
    assert ends(waiting)


def test_after_one_that_ended_by_itself_none_is_prepared_until_a_launch(own: Interpreters) -> None:
    """An image whose prepared processes can't live would have them forked without end."""
    own.launch()
    [waiting] = own.until(own.warm.prepared)
    [interpreter] = own.warm._warm.values()
    interpreter.prepare_at = time.monotonic() + 1000
    os.kill(waiting, signal.SIGKILL)
    own.until(lambda: not own.warm.prepared())

    assert interpreter.prepare_at is None
    own.launch()
    assert own.until(own.warm.prepared) != [waiting]


def test_a_preparation_without_descriptors_is_given_up(
    own: Interpreters, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The spawner lives on, and the next launch has another process prepared."""

    def fail() -> None:
        raise OSError(errno.EMFILE, "no descriptor is left")

    own.launch()
    with monkeypatch.context() as patched:
        patched.setattr(socket, "socketpair", fail)
        own.until(lambda: "no descriptor is left" in caplog.text)
    assert own.warm.attend() is None

    own.launch()
    assert own.until(own.warm.prepared)


def test_a_launch_that_no_process_takes_is_answered(own: Interpreters) -> None:
    """Its prepared process was killed with the interpreter, and no other interpreter starts."""
    own.launch()
    [waiting] = own.until(own.warm.prepared)
    [interpreter] = own.warm.pids()
    # Stopped any earlier, it would still have the interpreter's socket open.
    until(lambda: sockets(waiting) == 1)
    os.kill(waiting, signal.SIGSTOP)
    own.launch(python="/gone/python")
    os.kill(interpreter, signal.SIGKILL)
    own.until(lambda: not own.warm.pids())

    os.kill(waiting, signal.SIGKILL)
    own.until(lambda: len(own.answers) == 2)

    answer = own.answers[1]
    assert isinstance(answer, NotWarm)
    assert answer.problem == "ended"
    assert "/gone/python" in answer.text


@pytest.fixture
def without(tmp_path: Path) -> Iterator[SpawnerProcess]:
    (tmp_path / "other").mkdir()
    process = SpawnerProcess(tmp_path / "other", "--prepared", "0")
    yield process
    process.close()


def test_none_is_prepared_where_none_is_wanted(
    without: SpawnerProcess, image: dict[str, Any]
) -> None:
    """Launches are forked when they come."""
    client = without.client()
    for name in "ab":
        launch(without, client, name, image)
        client.ended(name)

    assert until(lambda: len(children(without)) == 1)


def test_orphans_do_not_pile_up(spawner: SpawnerProcess, client: SpawnerClient) -> None:
    """What a launch left behind falls to the spawner, which lets it go; exit codes are not lost."""
    script = "for i in 1 2 3; do (setsid sleep 0.1 &) ; done; sleep 0.3; exit 5"
    spawner.launch(client, "a", "/bin/sh", "-c", script)

    assert client.ended("a")["exit_code"] == 5
    assert until(lambda: not children(spawner))
    assert subprocess.run(["kill", "-0", str(spawner.process.pid)], check=False).returncode == 0

"""Processes that a spawner starts: real ones, and really killed."""

import os
import select
import signal
import sys
from pathlib import Path

import pytest
from tests.environment.spawner.conftest import SpawnerClient, SpawnerProcess


def ends(pid: int, within_s: float = 60) -> bool:
    """Wait for the end of a process that need not be a child of this one."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([pidfd], [], [], within_s)[0])
    finally:
        os.close(pidfd)


@pytest.mark.parametrize("code", [0, 1, 75, 255])
def test_an_exit_code_is_reported(
    spawner: SpawnerProcess, client: SpawnerClient, code: int
) -> None:
    """The code is the process's own, with what it used."""
    spawner.launch(client, "a", "/bin/sh", "-c", f"exit {code}")

    ended = client.ended("a")

    assert (ended["exit_code"], ended["signal"]) == (code, None)
    assert ended["memory_peak_bytes"] > 0
    assert ended["cpu_usage_usec"] >= 0
    assert not ended["is_out_of_memory"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_signal_that_ends_a_process_is_reported(
    spawner: SpawnerProcess, client: SpawnerClient, number: signal.Signals
) -> None:
    """The report has the signal, and no exit code of 128 and more."""
    spawner.launch(client, "a", "/bin/sleep", "1000")
    client.ask(do="signal", launch_id="a", signal=number)

    ended = client.ended("a")

    assert (ended["exit_code"], ended["signal"]) == (None, number)


def test_a_signal_reaches_the_whole_session(
    spawner: SpawnerProcess, client: SpawnerClient, tmp_path: Path
) -> None:
    """Processes that a launch has started end with it."""
    script = "sleep 1000 & echo $! > pid; wait"
    spawner.launch(client, "a", "/bin/sh", "-c", script)
    pid_file = tmp_path / "a" / "pid"
    while not (pid_file.exists() and pid_file.read_text().strip()):
        client.ask(do="hello")
    client.ask(do="signal", launch_id="a", signal=signal.SIGKILL)

    client.ended("a")

    assert ends(int(pid_file.read_text()))


def test_a_launch_is_started_once(
    spawner: SpawnerProcess, client: SpawnerClient, tmp_path: Path
) -> None:
    """Repeated requests start nothing, not even after its end."""
    script = 'echo started >> "$PWD/starts"'
    numbers = [client.send(**spawner.order("a", "/bin/sh", "-c", script)) for _ in range(3)]
    pids = {client.expect(lambda one, n=n: one.get("id") == n)["ok"]["pid"] for n in numbers}  # type: ignore[misc]  # A default binds n.
    client.ended("a")
    again = spawner.launch(client, "a", "/bin/sh", "-c", script)

    assert {again["ok"]["pid"]} == pids
    assert (tmp_path / "a" / "starts").read_text() == "started\n"


def test_a_program_that_is_not_there_is_an_error(
    spawner: SpawnerProcess, client: SpawnerClient
) -> None:
    """The launch is then as if it had never been asked for."""
    answer = spawner.launch(client, "a", "/not/there")

    assert "/not/there" in answer["error"]
    assert "ok" in spawner.launch(client, "a", "/bin/true")


def test_an_ending_is_kept_until_it_is_confirmed(
    spawner: SpawnerProcess, client: SpawnerClient
) -> None:
    """A client that connects before the confirmation gets it; one that connects later doesn't."""
    spawner.launch(client, "a", "/bin/sh", "-c", "exit 3")
    client.close()

    second = spawner.client()
    second.send(do="hello")
    assert second.ended("a")["exit_code"] == 3
    assert "ok" in second.ask(do="confirm", launch_id="a")
    third = spawner.client()
    spawner.launch(third, "b", "/bin/true")

    assert third.expect(lambda one: "event" in one)["launch_id"] == "b"


def test_a_launch_that_lives_can_not_be_confirmed(
    spawner: SpawnerProcess, client: SpawnerClient
) -> None:
    """Otherwise its ending would be lost."""
    spawner.launch(client, "a", "/bin/sleep", "1000")

    assert "has not ended" in client.ask(do="confirm", launch_id="a")["error"]


def test_a_process_outlives_its_client(spawner: SpawnerProcess, client: SpawnerClient) -> None:
    """An environment that comes back finds its launches as they were."""
    started = spawner.launch(client, "a", "/bin/sleep", "1000")["ok"]
    client.close()

    hello = spawner.client().ask(do="hello")["ok"]

    assert hello["launches"] == [{"launch_id": "a", **started}]
    assert not ends(started["pid"], within_s=0)


def test_a_process_outlives_its_spawner_and_is_taken_over(
    spawner: SpawnerProcess, client: SpawnerClient, tmp_path: Path
) -> None:
    """Its later output arrives. Its exit code is lost: the kernel tells only the parent."""
    script = "while ! test -e go; do sleep 0.02; done; echo after; exit 5"
    started = spawner.launch(client, "a", "/bin/sh", "-c", script)["ok"]
    spawner.kill()

    successor = SpawnerProcess(tmp_path)
    heir = successor.client()
    adopted = heir.ask(**{**spawner.order("a"), "do": "adopt", **started})["ok"]
    (tmp_path / "a" / "go").touch()
    ended = heir.ended("a")
    successor.close()

    assert adopted == started
    assert (ended["exit_code"], ended["signal"]) == (None, None)
    assert (tmp_path / "a" / "stderr.log").read_text() == "after\n"


def test_a_pid_that_was_used_again_is_not_taken_over(
    spawner: SpawnerProcess, client: SpawnerClient
) -> None:
    """A process that started at another moment is another process."""
    order = spawner.order("a")

    adopted = client.ask(**{**order, "do": "adopt", "pid": os.getpid(), "start_time": 1})

    assert adopted["ok"] == {"pid": None}


def test_signals_are_not_ignored_in_a_launched_process(
    spawner: SpawnerProcess, client: SpawnerClient
) -> None:
    """A process begins with the usual handling of signals."""
    program = "import signal; print(signal.getsignal(signal.SIGINT).__name__)"
    spawner.launch(client, "a", sys.executable, "-c", program)
    client.ended("a")

    assert (spawner.folder / "a" / "stderr.log").read_text() == "default_int_handler\n"


def test_a_spawner_without_work_ends(tmp_path: Path) -> None:
    """When it has no process and no client for its idle time, it goes and leaves nothing."""
    spawner = SpawnerProcess(tmp_path, "--idle-s", "0.2")
    client = spawner.client()
    spawner.launch(client, "a", "/bin/true")
    client.ended("a")
    client.close()

    assert spawner.process.wait(60) == 0
    assert not spawner.socket.exists()


@pytest.mark.parametrize(
    "message",
    [
        {"do": "dance"},
        {},
        {"do": "start"},
        {"do": "signal", "launch_id": "x", "signal": 9},
        {"do": "signal", "launch_id": "x", "signal": "nine"},
        {"do": ["start"]},
    ],
)
def test_a_bad_request_is_answered_with_an_error(
    spawner: SpawnerProcess, client: SpawnerClient, message: dict[str, object]
) -> None:
    """The connection lives on."""
    assert client.ask(**message)["error"]
    assert "ok" in client.ask(do="hello")


@pytest.mark.parametrize("junk", [b"\xff\xff\xff\xff", b"\0\0\0\2[]", b"\0\0\0\1{"])
def test_what_is_no_message_ends_the_connection(
    spawner: SpawnerProcess, client: SpawnerClient, junk: bytes
) -> None:
    """Others are served on."""
    client.connection.sendall(junk)

    assert client.connection.recv(1) == b""
    assert "ok" in spawner.client().ask(do="hello")

"""A spawner as a process of its own, and a client of it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runtara_environment.spawner.frames import Decoder, Message, encode

_PATIENCE_S = 60.0


class SpawnerClient:
    """Speaks to a spawner; waits for what it expects."""

    def __init__(self, path: Path) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(_PATIENCE_S)
        try:
            self.connection.connect(str(path))
        except OSError:
            self.connection.close()
            raise
        self._decoder = Decoder()
        self._received: list[Message] = []
        self._number = 0

    def send(self, **message: Any) -> int:
        """Ask for something; gives the number of the answer."""
        self._number += 1
        self.connection.sendall(encode({"id": self._number, **message}))
        return self._number

    def ask(self, **message: Any) -> Message:
        """Ask for something and wait for the answer."""
        number = self.send(**message)
        return self.expect(lambda one: one.get("id") == number)

    def ended(self, launch_id: str) -> Message:
        """Wait for the ending of a launch."""
        return self.expect(lambda one: one.get("launch_id") == launch_id and "event" in one)

    def expect(self, wanted: Callable[[Message], bool]) -> Message:
        """Wait for a message; others are kept for later."""
        while True:
            for message in self._received:
                if wanted(message):
                    self._received.remove(message)
                    return message
            data = self.connection.recv(65536)
            assert data, "the spawner has closed the connection"
            self._received += self._decoder.feed(data)

    def close(self) -> None:
        """End the connection."""
        self.connection.close()


class SpawnerProcess:
    """The spawner's process, and the folder that it works in."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runtara_environment.spawner", str(self.socket), *options],
            start_new_session=True,
        )
        self._clients: list[SpawnerClient] = []

    def client(self) -> SpawnerClient:
        """Connect, as soon as it listens."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                client = SpawnerClient(self.socket)
            except (FileNotFoundError, ConnectionRefusedError):
                assert self.process.poll() is None, "the spawner has ended"
                assert time.monotonic() < deadline, "the spawner does not listen"
                time.sleep(0.01)  # A Unix socket can't be waited for.
            else:
                self._clients.append(client)
                return client

    def launch(self, client: SpawnerClient, launch_id: str, *argv: str, **more: Any) -> Message:
        """Start a process; gives the answer."""
        return client.ask(**self.order(launch_id, *argv, **more))

    def order(self, launch_id: str, *argv: str, **more: Any) -> Message:
        """Give the message that starts a process in a folder of its own."""
        folder = self.folder / launch_id
        folder.mkdir(exist_ok=True)
        return {
            "do": "start",
            "launch_id": launch_id,
            "folder": str(folder),
            "argv": list(argv),
            "env": {"PATH": os.environ["PATH"]},
            "cwd": str(folder),
            "max_log_bytes": 1_000_000,
            "cgroup": f"test-{os.getpid()}-{launch_id}",
            "limits": {"memory_bytes": None, "cpus": None},
            "warm": None,
            **more,
        }

    def kill(self) -> None:
        """Kill the spawner alone, with SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.socket.unlink(missing_ok=True)

    def close(self) -> None:
        """End the spawner and all that it has launched."""
        for client in self._clients:
            client.close()
        if self.process.poll() is None:
            client = self.client()
            for launch in client.ask(do="hello")["ok"]["launches"]:
                client.ask(do="signal", launch_id=launch["launch_id"], signal=signal.SIGKILL)
            client.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def spawner(tmp_path: Path) -> Iterator[SpawnerProcess]:
    process = SpawnerProcess(tmp_path, "--prepared", "1")
    yield process
    process.close()


@pytest.fixture
def client(spawner: SpawnerProcess) -> SpawnerClient:
    return spawner.client()

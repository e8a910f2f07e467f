"""Two machines, as far as the network goes: this one, and a network namespace. Needs root."""

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE, THERE = "10.77.0.1", "10.77.0.2"


def _ip(*arguments: str) -> None:
    subprocess.run(["/usr/sbin/ip", *arguments], check=True, capture_output=True)


class OtherMachine:
    """A machine at THERE; this one is at HERE for it. Files and processes are shared."""

    def __init__(self) -> None:
        # Names of interfaces have at most fifteen characters.
        self.name = f"rt{os.getpid()}"
        self._cable = f"{self.name}a"

    def command(self, *argv: str) -> list[str]:
        """Give what runs a program there."""
        return ["/usr/sbin/ip", "netns", "exec", self.name, *argv]

    def cut(self) -> None:
        """Pull the cable."""
        _ip("link", "set", self._cable, "down")

    def mend(self) -> None:
        """Put the cable back."""
        _ip("link", "set", self._cable, "up")

    def begin(self) -> None:
        """Make it."""
        far = f"{self.name}b"
        _ip("netns", "add", self.name)
        _ip("link", "add", self._cable, "type", "veth", "peer", "name", far, "netns", self.name)
        _ip("addr", "add", f"{HERE}/24", "dev", self._cable)
        _ip("link", "set", self._cable, "up")
        for command in (
            ["addr", "add", f"{THERE}/24", "dev", far],
            ["link", "set", far, "up"],
            ["link", "set", "lo", "up"],
        ):
            _ip("-n", self.name, *command)

    def end(self) -> None:
        """Remove it, and kill what runs there."""
        done = subprocess.run(
            ["/usr/sbin/ip", "netns", "pids", self.name], capture_output=True, text=True, check=True
        )
        for pid in done.stdout.split():
            os.kill(int(pid), 9)
        # Its end of the cable would go some time after the namespace, and its name with it.
        _ip("link", "del", self._cable)
        _ip("netns", "del", self.name)


@contextmanager
def other_machine() -> Iterator[OtherMachine]:
    """Have another machine for the block's length; there is one at a time."""
    with (Path(tempfile.gettempdir()) / "runtara-other-machine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        machine = OtherMachine()
        machine.begin()
        try:
            yield machine
        finally:
            machine.end()

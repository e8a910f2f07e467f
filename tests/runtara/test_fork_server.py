"""The process that is forked: what it can't share, and what becomes of its processes."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.runtara.conftest import until

from runtara.processes import Forked, Forks, Interpreters

pytestmark = pytest.mark.slow

LEFT = """
import asyncio, os, random, socket, sqlite3, threading
from runtara.fork_server import unforkable

def said():
    print(unforkable(0))

said()
copy = os.dup(1)
with open("/dev/urandom"):
    said()
os.close(copy)
with open(__file__):
    said()
numbers = random.SystemRandom()
said()
numbers = random.Random(1)
said()
del numbers
with socket.socket():
    said()
loop = asyncio.new_event_loop()
said()
loop.close()
books = sqlite3.connect("books.db")
books.execute("PRAGMA user_version")
said()
books.close()
is_over = threading.Event()
thread = threading.Thread(target=is_over.wait)
thread.start()
said()
is_over.set()
thread.join()
os.close(0)
said()
del os.pidfd_open
said()
os.listdir = None
said()
"""


def test_what_imports_leave_is_found(tmp_path: Path) -> None:
    """
    Copies of the standard streams and devices that are read can be forked; no file can.

    A standard stream may be closed. What can't be found out is a problem.
    """
    program = tmp_path / "program.py"
    program.write_text(LEFT)
    said = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    words = (
        *("", "", "program.py", "", "random.Random", "socket:", "anon_inode:", "books.db"),
        *("thread", "", "watch processes", "is not known"),
    )
    for one, word in zip(said.stdout.splitlines(), words, strict=True):
        assert word in one
        assert bool(word) is bool(one)


BROKEN = """
import errno, os, socket, sys, types
from tests.runtara.shop import greet

class Full:
    def flush(self):
        raise BrokenPipeError

sys.stdout, sys.stderr = Full(), None

def watch(pid, original=os.pidfd_open, children=[]):
    children.extend([pid] if pid != os.getpid() else [])
    if len(children) == 2:
        children.append(pid)
        raise OSError(errno.EMFILE, "too many open files")
    return original(pid)

def receive(*args, original=socket.recv_fds, orders=[]):
    text, received, *others = original(*args)
    orders.extend(received)
    if len(orders) == 3:
        os.close(received.pop())
    return text, received, *others

def seed():
    with open(os.path.join(os.path.dirname(__file__), "seeded"), "a") as file:
        file.write(f"{os.getpid()}\\n")

os.pidfd_open, socket.recv_fds = watch, receive
sys.modules["numpy.random"] = types.SimpleNamespace(seed=seed)
"""


async def test_what_fails_in_the_fork_server_ends_one_process_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Standard streams that are broken or missing end none; with no descriptor left, one ends.

    Each fork that lives has given numpy's generator a new state, as the fork server has.
    """
    (tmp_path / "broken.py").write_text(BROKEN)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    preparation = {**prepared(tmp_path), "workflows": {"greet": "broken:greet"}}
    forks = Forks(preparation, Interpreters(preparation))
    try:
        lives = await forked(forks)
        for _ in ("it can't be watched", "its channel is lost"):
            ours, theirs = socket.socketpair()
            with theirs:
                failed, _ = await forks(theirs)
            assert await failed.wait() is None
            with ours:
                assert ours.recv(1) == b""
        last = await forked(forks)
        for process, _, writer in (lives, last):
            writer.close()
            assert await process.wait() == 0
    finally:
        await forks.close()
    assert len(set((tmp_path / "seeded").read_text().split())) >= 3


def prepared(folder: Path) -> dict[str, object]:
    """Give what a fork server is sent first; it has no workflows."""
    return {
        "way": "database",
        "location": f"sqlite:{folder}/core.db",
        "shown": "",
        "workflows": {},
        "threads": 1,
        "preparation": {},
    }


def children() -> set[int]:
    """Give the processes that this process has started."""
    listed = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
    return {int(each) for each in listed.split()}


def fork_servers() -> set[int]:
    """Give those that are forked for workers."""
    return {
        each
        for each in children()
        if b"runtara.child_process" in Path(f"/proc/{each}/cmdline").read_bytes()
    }


async def forked(forks: Forks) -> tuple[Forked, asyncio.StreamReader, asyncio.StreamWriter]:
    """Fork a child that is ready; give its channel, too."""
    ours, theirs = socket.socketpair()
    with theirs:
        process, greeting = await forks(theirs)
    assert isinstance(process, Forked)
    assert greeting == b""
    reader, writer = await asyncio.open_connection(sock=ours)
    assert await reader.readline() == b'{"ready": true}\n'
    return process, reader, writer


async def test_its_processes_end_as_any_do(tmp_path: Path) -> None:
    """Each alone, with its exit code or signal; and all with the one that was forked."""
    preparation = prepared(tmp_path)
    forks = Forks(preparation, Interpreters(preparation))
    # As of a web server: a socket in it would keep the process from being forked.
    inherited = socket.socket()
    inherited.set_inheritable(True)
    before = children()
    try:
        killed, ends, lives = [await forked(forks) for _ in range(3)]
        killed[0].kill()
        assert await killed[0].wait() == -signal.SIGKILL
        ends[2].close()
        assert await ends[0].wait() == 0

        forks.end_if_unused()
        assert not lives[0].code.done()
        [fork_server] = fork_servers() - before
        os.kill(fork_server, signal.SIGKILL)
        assert await lives[0].wait() is None
        assert await lives[1].read() == b""

        again, _, writer = await forked(forks)
        writer.close()
        await again.wait()
        forks.end_if_unused()
        await until(lambda: children() <= before)
    finally:
        inherited.close()
        await forks.close()
    for _, _, writer in (killed, lives):
        writer.close()

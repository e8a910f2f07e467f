"""Write docs/captures/*.svg, what commands show on a terminal: `make captures`."""

import io
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.text import Text

FOLDER = Path(__file__).parents[2] / "docs/captures"
WIDTH = 100
PATIENCE = 60.0
_SHOP = """\
from runtara_sdk import Retry, promise, sleep, step, timeout, workflow


@step
async def fetch(order: str) -> list[str]:
    return [f"{order}/1", f"{order}/2"]


@step(retry=Retry(attempts=2, on=OSError, wait="100ms"))
async def charge(item: str) -> str:
    if item.startswith("order-18"):
        raise OSError("the bank is closed")
    return f"receipt for {item}"


@workflow(suspend_after="10ms")
async def fulfil(order: str) -> list[str]:
    items = await fetch(order)
    async with timeout("7d"):
        await promise("approval", bool)
    return [await charge(item) for item in items]


@workflow
async def remind(order: str) -> None:
    await sleep("2d")
"""
CAPTURES: dict[str, list[str]] = {
    "list": ["runtara list"],
    "show": ["runtara show order-18"],
    "explain": [
        "runtara explain order-17", "runtara send order-17 approval true", "runtara wait order-17",
        "runtara explain order-18",
    ],
    "errors": ["runtara strat fulfil", "runtara show order-71", "runtara start fullfil"],
}  # fmt: skip
"""Files, and the commands whose output is in each."""
_BEFORE = (
    *(f"start fulfil '\"order-{number}\"' --id order-{number}" for number in (16, 17, 18)),
    "start remind '\"order-19\"' --id order-19",
    "send order-16 approval true",
    "send order-18 approval true",
)
_SETTLED = (
    ("order-16", "completed"), ("order-17", "suspended"), ("order-18", "failed"),
    ("order-19", "suspended"),
)  # fmt: skip


class Shop:
    """A folder in which `runtara dev` runs on a terminal."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "shop.py").write_text(_SHOP)
        kept = {name: value for name, value in os.environ.items() if name[:8] != "RUNTARA_"}
        self._variables = kept | {"TZ": "UTC", "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}

    def begin(self, command: str) -> tuple["subprocess.Popen[bytes]", int]:
        """Start a command on a terminal; gives the other end of it."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "runtara_cli", *shlex.split(command)],
            cwd=self._folder,
            env=self._variables,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        return process, ours

    def run(self, command: str) -> str:
        """Give a command; gives what the terminal shows."""
        process, terminal = self.begin(command)
        shown = b""
        while piece := _read(terminal):
            shown += piece
        process.wait()
        os.close(terminal)
        return shown.decode().replace("\r\n", "\n")

    def settle(self) -> None:
        """Wait until all instances stand as the captures show them."""
        for name, status in _SETTLED:
            _until(partial(self._stands, name, status))

    def _stands(self, name: str, status: str) -> bool:
        return f'"status": "{status}"' in self.run(f"show {name} --json")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Its last program has ended.
        return b""


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError("the instances don't come to stand as the captures show them")
        time.sleep(0.1)


def _screen(shown: str) -> str:
    """Give what is left of lines that were drawn again and again."""
    lines: list[str] = []
    pieces = re.split(r"\x1b\[(\d+)A\x1b\[J", shown)
    for number, piece in enumerate(pieces):
        if number % 2:
            del lines[-int(piece) :]
        else:
            lines += piece.splitlines()
    return "\n".join(lines)


def _drawn(name: str, shown: list[tuple[str, str]]) -> str:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for command, output in shown:
        console.print(Text(f"$ {command}", style="bold"))
        console.print(Text.from_ansi(output.rstrip("\n")))
    drawn = console.export_svg(title=name, unique_id=f"runtara-{name}")
    # Fonts of the reader's own, instead of some that are fetched.
    return re.sub(r"@font-face \{.*?\}\n?", "", drawn, flags=re.DOTALL)


class Terminal:
    """What a program has written to its terminal so far; without a reader it would wait."""

    def __init__(self, terminal: int) -> None:
        self.shown = ""
        self._terminal = terminal
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        while piece := _read(self._terminal):
            self.shown += piece.decode(errors="replace").replace("\r\n", "\n")


def _end_all_in(folder: str) -> None:
    """End the spawner, which outlives `runtara dev` for ten minutes, and its interpreters."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if os.readlink(entry / "cwd").startswith(folder):
                os.kill(int(entry.name), signal.SIGKILL)


def write(folder: Path) -> None:
    """Draw all captures into a folder."""
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        shop = Shop(Path(made))
        dev, terminal = shop.begin("dev shop.py")
        screen = Terminal(terminal)
        try:
            _until(lambda: "Ctrl-C" in screen.shown)
            for command in _BEFORE:
                shop.run(command)
            shop.settle()
            taken = {"dev": [("runtara dev shop.py", _screen(screen.shown))]}
            for name, commands in CAPTURES.items():
                taken[name] = [(each, shop.run(each.removeprefix("runtara "))) for each in commands]
        finally:
            dev.send_signal(signal.SIGINT)
            dev.wait(PATIENCE)
            screen.reader.join()
            os.close(terminal)
            _end_all_in(made)
        for name, shown in taken.items():
            drawn = _drawn(name, [(each, text.replace(f"{made}/", "")) for each, text in shown])
            (folder / f"{name}.svg").write_text(drawn)


if __name__ == "__main__":
    write(FOLDER)

"""The environment's side of the connection to its spawner."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from runtara_environment.spawner.frames import Decoder, MalformedMessage, Message, encode

logger = logging.getLogger(__name__)

VERSION = 2
_SOCKET = f"spawner-{VERSION}.socket"
_MODULE = "runtara_environment.spawner"
_LONGEST_PATH = 100


class SpawnerLost(Exception):
    """The connection to the spawner is lost; whether it executed the request is unknown."""


class SpawnerRefused(Exception):
    """The spawner refused a request. problem: why the image can't be forked, or None."""

    def __init__(self, text: str, problem: str | None) -> None:
        super().__init__(text)
        self.problem = problem


@dataclass(slots=True)
class Greeting:
    """A spawner's first answer. living: pid and start time of each living process, by launch."""

    boot_id: str
    living: dict[str, tuple[int, int]] = field(default_factory=dict)


class SpawnerClient:
    """
    A connection to a spawner.

    `listen` calls `ended` for each end of a process, and returns when the connection has ended.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._asked: dict[int, asyncio.Future[Message]] = {}
        self._number = 0
        self._is_lost = False

    async def ask(self, do: str, **fields: object) -> Message:
        """Send a request, return its answer; raises SpawnerRefused, and SpawnerLost without one."""
        if self._is_lost:
            raise SpawnerLost("the spawner has ended")
        self._number += 1
        answer = asyncio.get_running_loop().create_future()
        self._asked[self._number] = answer
        self._writer.write(encode({"id": self._number, "do": do, **fields}))
        message = await answer
        if "error" in message:
            raise SpawnerRefused(message["error"], message.get("problem"))
        ok: Message = message["ok"]
        return ok

    async def greet(self) -> Greeting:
        """Ask for the living processes; unconfirmed ends are reported before the answer."""
        ok = await self.ask("hello")
        living = {one["launch_id"]: (one["pid"], one["start_time"]) for one in ok["launches"]}
        return Greeting(ok["boot_id"], living)

    async def listen(self, ended: Callable[[str, Message], None]) -> None:
        """Receive the spawner's messages until the connection ends."""
        decoder = Decoder()
        try:
            while data := await self._reader.read(65536):
                for message in decoder.feed(data):
                    self._heard(message, ended)
        except (OSError, MalformedMessage) as error:
            logger.warning("the spawner's connection broke: %s", error)
        finally:
            self.close()

    def close(self) -> None:
        """End the connection; the spawner and its processes live on."""
        self._writer.close()
        self._lose()

    def _heard(self, message: Message, ended: Callable[[str, Message], None]) -> None:
        if message.get("event") == "ended":
            ended(message["launch_id"], message)
            return
        answer = self._asked.pop(message.get("id", 0), None)
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _lose(self) -> None:
        self._is_lost = True
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(SpawnerLost("the spawner has ended"))
        self._asked.clear()


async def connect(folder: Path, *options: str) -> SpawnerClient:
    """Connect to the spawner of a folder; start one if none runs. Raises SpawnerLost."""
    with _reachable(folder) as near:
        path = near / _SOCKET
        with suppress(FileNotFoundError, ConnectionRefusedError):
            return SpawnerClient(*await asyncio.open_unix_connection(path))
        # A socket that refuses connections was left by a killed spawner.
        path.unlink(missing_ok=True)
        code = await asyncio.to_thread(_start, folder, options)
        if code == 0:
            return SpawnerClient(*await asyncio.open_unix_connection(path))
    raise SpawnerLost(f"the spawner does not start, see {folder / 'spawner.log'}")


def _start(folder: Path, options: tuple[str, ...]) -> int:
    """Start a spawner that is no child of this process, and return once it listens."""
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    listening = f"/proc/self/fd/{descriptor}/{_SOCKET}"
    try:
        with (folder / "spawner.log").open("ab") as log:
            return subprocess.run(
                [sys.executable, "-m", _MODULE, listening, "--detach", *options],
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[descriptor],
                start_new_session=True,
                check=False,
            ).returncode
    finally:
        os.close(descriptor)


@contextmanager
def _reachable(folder: Path) -> Iterator[Path]:
    """Yield a path of the folder that is short enough for the name of a Unix socket."""
    if len(os.fsencode(folder / _SOCKET)) <= _LONGEST_PATH:
        yield folder
        return
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)

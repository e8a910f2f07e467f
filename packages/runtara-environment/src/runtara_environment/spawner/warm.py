"""The spawner's side of a warm interpreter."""

import json
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtara_environment.spawner.cgroups import Limits
from runtara_environment.spawner.machine import restore_open_files
from runtara_environment.spawner.orders import send

_FAULTS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT})
_PROGRAM = Path(__file__).with_name("interpreter.py")


class NotWarm(Exception):
    """
    A launch can't be forked from the warm interpreter.

    `problem` is "import" if the image's import failed by its own fault, or its program is no
    Python: the text has the traceback. It is "threads" or "sockets" if the import left threads or
    sockets: then each launch needs a new interpreter. It is "ended" if the interpreter has died, or
    gave up because the machine lacks memory or files: try again.
    """

    def __init__(self, problem: str, text: str) -> None:
        super().__init__(text)
        self.problem = problem
        self.text = text


Answered = Callable[[int | NotWarm], None]


@dataclass(frozen=True, slots=True)
class Order:
    """
    A launch to fork, or a process to prepare.

    descriptor: the launch's output, or the channel of the prepared process. `answered` is called
    with the pid, or with the reason why there is none.
    """

    content: Mapping[str, Any]
    descriptor: int
    answered: Answered


class WarmInterpreter:
    """
    A warm interpreter of one image. Orders wait until it has imported the image.

    `orders` is a socket: call `receive` when it has something to read. `used_at`: when the
    interpreter was started or last launched a process, by the monotonic clock. `limits` and
    `prepare` are those of its last launch. `prepare_at`: when another process is to be prepared
    for the next one, None: there are enough.
    """

    def __init__(
        self, python: str, modules: Sequence[str], env: Mapping[str, str], cwd: str
    ) -> None:
        ours, its = socket.socketpair()
        try:
            self.process = subprocess.Popen(
                # -P: the image must not import the files beside this program as modules.
                [python, "-P", str(_PROGRAM), str(its.fileno()), *modules],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
                start_new_session=True,
                preexec_fn=restore_open_files,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            its.close()
        self._imports = modules[-1] if modules else ""
        self.orders = ours
        self.used_at = time.monotonic()
        self.refusal: NotWarm | None = None
        self.limits = Limits()
        self.prepare: Mapping[str, Any] | None = None
        self.prepare_at: float | None = None
        self._is_ready = False
        self._waiting: deque[Order] = deque()
        self._sent: deque[Order] = deque()
        self._buffer = b""

    def fork(self, order: Order) -> None:
        """Fork a process: `order.answered` gets its pid, or NotWarm."""
        if self.refusal is not None:
            order.answered(self.refusal)
        elif self._is_ready:
            self._send(order)
        else:
            self._waiting.append(order)

    @property
    def is_forking(self) -> bool:
        """Whether a process may exist whose pid is not known yet."""
        return bool(self._sent)

    @property
    def is_idle(self) -> bool:
        """Whether it can fork at once."""
        return self._is_ready and not self._sent

    def receive(self) -> bool:
        """Read the interpreter's answers; False if it has ended, or can't be forked."""
        try:
            data = self.orders.recv(65536)
        except ConnectionResetError:  # The interpreter ended and left an order unread.
            data = b""
        if not data:
            self._refuse(self._ended(self.process.wait()))
            return False
        self._buffer += data
        while b"\n" in self._buffer and self.refusal is None:
            line, self._buffer = self._buffer.split(b"\n", 1)
            self._take(json.loads(line))
        return self.refusal is None

    def close(self) -> None:
        """End the interpreter. The processes that it forked live on."""
        self._refuse(NotWarm("ended", "its warm interpreter was ended"))
        self.orders.close()
        self.process.kill()
        self.process.wait()

    def _ended(self, code: int) -> NotWarm:
        if not self._is_ready and (code >= 0 or -code in _FAULTS):
            # The import itself ended the interpreter, and would again: this was no kill.
            how = f"exit code {code}" if code >= 0 else f"signal {-code}"
            return NotWarm("import", f"the import of {self._imports} ended Python with {how}")
        return NotWarm("ended", f"its warm interpreter ended with exit code {code}")

    def _take(self, answer: Mapping[str, Any]) -> None:
        if "problem" in answer:
            self._refuse(NotWarm(answer["problem"], answer["text"]))
        elif "ready" in answer:
            self._is_ready = True
            while self._waiting and self.refusal is None:
                self._send(self._waiting.popleft())
        else:
            self._sent.popleft().answered(int(answer["pid"]))

    def _send(self, order: Order) -> None:
        self._sent.append(order)
        try:
            send(self.orders, order.content, order.descriptor)
        except OSError as error:
            self._refuse(NotWarm("ended", f"its warm interpreter has ended: {error}"))

    def _refuse(self, refusal: NotWarm) -> None:
        self.refusal = self.refusal or refusal
        unanswered = [*self._sent, *self._waiting]
        self._sent.clear()
        self._waiting.clear()
        for order in unanswered:
            order.answered(self.refusal)

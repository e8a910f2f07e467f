"""The spawner's end of a warm interpreter; nothing here waits."""

import array
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

_FAULTS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT})
_PROGRAM = Path(__file__).with_name("interpreter.py")


class NotWarm(Exception):
    """
    A launch can't be forked.

    `problem`: "import" (the text has its traceback), "threads" or "sockets" (the image needs a
    process of its own for each launch), "ended" (the interpreter has died: try again).
    """

    def __init__(self, problem: str, text: str) -> None:
        super().__init__(text)
        self.problem = problem
        self.text = text


Answered = Callable[[int | NotWarm], None]


@dataclass(frozen=True, slots=True)
class Order:
    """A launch to fork: the order to the interpreter, the output, and where the pid goes."""

    content: Mapping[str, Any]
    output: int
    answered: Answered


class WarmInterpreter:
    """
    An image's interpreter. Orders wait until it has imported the image.

    `orders` is to be watched for reading, with `receive` called then. `used_at`: a moment of the
    monotonic clock, when it was started or forked last.
    """

    def __init__(
        self, python: str, modules: Sequence[str], env: Mapping[str, str], cwd: str
    ) -> None:
        ours, its = socket.socketpair()
        with its:
            self.process = subprocess.Popen(
                # The files beside the program are no modules of the image's.
                [python, "-P", str(_PROGRAM), str(its.fileno()), *modules],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
                start_new_session=True,
            )
        self._imports = modules[-1] if modules else ""
        self.orders = ours
        self.used_at = time.monotonic()
        self.refusal: NotWarm | None = None
        self._is_ready = False
        self._waiting: deque[Order] = deque()
        self._sent: deque[Order] = deque()
        self._buffer = b""

    def fork(self, order: Order) -> None:
        """Launch a process: `order.answered` gets its pid, or NotWarm."""
        self.used_at = time.monotonic()
        if self.refusal is not None:
            order.answered(self.refusal)
        elif self._is_ready:
            self._send(order)
        else:
            self._waiting.append(order)

    def receive(self) -> bool:
        """Take what it has said; False if it has ended, or can't be forked."""
        try:
            data = self.orders.recv(65536)
        except ConnectionResetError:  # It ended with an order unread.
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
        """End it; what it has launched lives on."""
        self._refuse(NotWarm("ended", "its warm interpreter was ended"))
        self.orders.close()
        self.process.kill()
        self.process.wait()

    def _ended(self, code: int) -> NotWarm:
        if not self._is_ready and (code >= 0 or -code in _FAULTS):
            # It does so each time, unlike one that something else has killed.
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
        line = json.dumps(order.content).encode() + b"\n"
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [order.output]))
        self._sent.append(order)
        try:
            sent = self.orders.sendmsg([line], [rights])
            self.orders.sendall(line[sent:])
        except OSError as error:
            self._refuse(NotWarm("ended", f"its warm interpreter has ended: {error}"))

    def _refuse(self, refusal: NotWarm) -> None:
        self.refusal = self.refusal or refusal
        unanswered = [*self._sent, *self._waiting]
        self._sent.clear()
        self._waiting.clear()
        for order in unanswered:
            order.answered(self.refusal)

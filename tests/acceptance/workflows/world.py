"""The service that the examples act on: it keeps books, and kills processes on order."""

import json
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

# What the service takes twice under one key, as many do.
RUDE = "emails"

MOVES = [
    {"tool": "search", "argument": "flights to Oslo"},
    {"tool": "send_email", "argument": "ann@example.org"},
    {"tool": "search", "argument": "hotels in Oslo"},
    {"tool": "send_email", "argument": "bob@example.org"},
    {"tool": "answer", "argument": "both have been told"},
]


MOMENTS = ("before", "booked", "answered")


@dataclass(eq=False, slots=True)
class Doom:
    """
    Kill a process at the n-th request from now: before or after that is booked, or answered.

    Before the answer the kill is certain if the request is its own: it waits for that.
    """

    pid: int
    request: int
    moment: str
    delay: float = 0.0
    is_over: bool = False

    @classmethod
    def certain(cls, pid: int, chance: random.Random) -> "Doom":
        """Kill the process at its first request."""
        return cls(pid, 1, chance.choice(MOMENTS[:2]))

    @classmethod
    def draw(cls, pid: int, chance: random.Random) -> "Doom":
        """Decide by lot."""
        return cls(pid, chance.choice([1, 1, 2, 3]), chance.choice(MOMENTS), chance.random() / 10)

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        if self.is_over:
            return
        with suppress(ProcessLookupError):  # It was faster.
            os.kill(self.pid, signal.SIGKILL)


class World(ThreadingHTTPServer):
    """
    The service on a free port; `books` has its effects in order: a kind and the request.

    `found` has the answers to workflows that ask what became of an effect. The first booking waits
    a while for `company` others that must come at the same time.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.books: list[tuple[str, Any]] = []
        self.sold_out: set[str] = set()
        self.messages: list[str] = []
        self.found: list[int] = []
        self.at_once = self.most_at_once = 0
        self.company = 1
        self.lock = threading.Lock()
        self._crowd = threading.Condition(self.lock)
        self._keys: dict[tuple[str, str], int] = {}
        self._dooms: list[Doom] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def done(self, kind: str) -> list[Any]:
        """What was done of a kind, in order."""
        return [what for each, what in self.books if each == kind]

    @contextmanager
    def doomed(self, doom: Doom | None) -> Iterator[None]:
        """Have a process killed that has not ended when this block does."""
        if doom is None:
            yield
            return
        with self.lock:
            self._dooms.append(doom)
        try:
            yield
        finally:
            doom.is_over = True
            with self.lock:
                self._dooms.remove(doom)

    def carried_out(self) -> list[Doom]:
        """The dooms that a request fulfils."""
        with self.lock:
            for doom in self._dooms:
                doom.request -= 1
            return [doom for doom in self._dooms if doom.request == 0]

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the requests that are served at the same time."""
        with self._crowd:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self._crowd.notify_all()
        try:
            yield
        finally:
            with self.lock:
                self.at_once -= 1

    def book(self, kind: str, key: str, asked: Any) -> tuple[int, Any]:
        """Do what is asked, once a key unless it is rude."""
        with self._crowd:
            self._crowd.wait_for(lambda: self.most_at_once >= self.company, timeout=5)
        if kind == "model":
            return 200, MOVES[len(asked) - 1]
        if asked.get("item") in self.sold_out:
            return 409, {"error": f"no {asked['item']} left"}
        with self.lock:
            if kind == RUDE or (kind, key) not in self._keys:
                self.books.append((kind, asked))
                self._keys[kind, key] = len(self.books)
            return 201, {"number": self._keys[kind, key]}

    def find(self, kind: str, what: str) -> tuple[int, Any]:
        """Tell of what was done under a key, or of a message."""
        if kind == "inbox":
            is_open = int(what) < len(self.messages)
            return 200, {"text": self.messages[int(what)] if is_open else None}
        number = self._keys.get((kind, what))
        self.found.append(404 if number is None else 200)
        return self.found[-1], {"number": number}

    def undo(self, kind: str, item: str) -> tuple[int, Any]:
        """Undo what was done about an item, once."""
        with self.lock:
            is_there = any(what.get("item") == item for what in self.done(kind))
            if not is_there or item in self.done("undone"):
                return 404, {}
            self.books.append(("undone", item))
            return 200, {}


class _Handler(BaseHTTPRequestHandler):
    server: World

    def do_POST(self) -> None:
        """Do something."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers.get("Idempotency-Key", "")
        with self.server.counted():
            self._handle(lambda: self.server.book(self._path()[0], key, asked))

    def do_GET(self) -> None:
        """Tell of something."""
        self._handle(lambda: self.server.find(*self._path()))

    def do_DELETE(self) -> None:
        """Undo something."""
        self._handle(lambda: self.server.undo(*self._path()))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the books tell."""

    def _path(self) -> list[str]:
        return [unquote(part) for part in self.path.strip("/").split("/")]

    def _handle(self, act: Callable[[], tuple[int, Any]]) -> None:
        dooms = self.server.carried_out()
        first = min((MOMENTS.index(doom.moment) for doom in dooms), default=None)
        if first == 0:
            self._kill(dooms)
            return
        status, body = act()
        if first == 1:
            self._kill(dooms)
            return
        self._answer(status, body)
        for doom in dooms:
            threading.Timer(doom.delay, doom.kill).start()

    def _kill(self, dooms: list[Doom]) -> None:
        for doom in dooms:
            doom.kill()

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def world() -> Iterator[World]:
    """Serve within the block."""
    with World() as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield served
        finally:
            served.shutdown()
            thread.join()

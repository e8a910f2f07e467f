"""The service that the examples act on: it keeps books, and kills processes on order."""

import json
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
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


class World(ThreadingHTTPServer):
    """
    The service on a free port; `books` has its effects in order: a kind and the request.

    `found` has the answers to workflows that ask what became of an effect. The first booking waits
    a while for `company` others that must come at the same time. The service SIGKILLs processes at
    their requests, before or after the effect, or after the answer: `kills` times, the first time
    certainly, then by lot; or, with a `plan`, at the requests of these numbers.
    """

    def __init__(self, chance: random.Random, kills: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan: dict[int, str] | None = None
        self._chance, self._kills, self._requests = chance, kills, 0
        self.books: list[tuple[str, Any]] = []
        self.sold_out: set[str] = set()
        self.messages: list[str] = []
        self.found: list[int] = []
        self.at_once = self.most_at_once = 0
        self.company = 1
        self.lock = threading.Lock()
        self._crowd = threading.Condition(self.lock)
        self._keys: dict[tuple[str, str], int] = {}

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def done(self, kind: str) -> list[Any]:
        """What was done of a kind, in order."""
        return [what for each, what in self.books if each == kind]

    def carried_out(self) -> str | None:
        """Count a request; gives the moment at which its process is to die, if any."""
        with self.lock:
            self._requests += 1
            if self.plan is not None:
                return self.plan.get(self._requests)
            is_first = self._requests == 1
            if self._kills == 0 or not (is_first or self._chance.random() < 0.5):
                return None
            self._kills -= 1
            return self._chance.choice(MOMENTS[:2] if is_first else MOMENTS)

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
            self._crowd.wait_for(lambda: self.most_at_once >= self.company, timeout=30)
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
        """Find what was done under a key, or a message."""
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
        """Answer a question about what was done."""
        self._handle(lambda: self.server.find(*self._path()))

    def do_DELETE(self) -> None:
        """Undo something."""
        self._handle(lambda: self.server.undo(*self._path()))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the books tell."""

    def _path(self) -> list[str]:
        return [unquote(part) for part in self.path.strip("/").split("/")]

    def _handle(self, act: Callable[[], tuple[int, Any]]) -> None:
        moment = self.server.carried_out()
        asking = None if moment is None else _process_at(self.client_address[1])
        if moment == "before":
            _kill(asking)
            return
        status, body = act()
        if moment == "booked":
            _kill(asking)
            return
        self._answer(status, body)
        if moment == "answered":
            threading.Timer(random.random() / 10, _kill, [asking]).start()

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _process_at(port: int) -> int | None:
    """Give the process that asks from a port of this machine; None if it has died."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{line[9]}]" for line in lines if line[1] == f"0100007F:{port:04X}"}
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # Processes and their files come and go.
            if os.readlink(entry) in sockets:
                return int(entry.parts[2])
    return None


def _kill(pid: int | None) -> None:
    if pid is not None:
        with suppress(ProcessLookupError):  # It has ended by itself.
            os.kill(pid, signal.SIGKILL)


@contextmanager
def world(chance: random.Random | None = None, kills: int = 0) -> Iterator[World]:
    """Serve within the block, and kill processes that ask so many times."""
    with World(chance or random.Random(), kills) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield served
        finally:
            served.shutdown()
            thread.join()

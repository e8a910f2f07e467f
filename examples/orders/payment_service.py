"""
A payment service that often fails, and keeps honest books.

    python payment_service.py BOOKS.sqlite [--seed 7] [--fault A-1042=mute ...]

It takes `POST /charges` with an `Idempotency-Key` and a JSON body (order_id, amount, currency,
description), and charges a key once, whatever happens: the same key again gets the same receipt.
It often refuses, is slow or hangs up; the seed decides at which requests. Its books are a file, and
a charge is durable before it is answered. On stdout, a line of JSON for each
attempt (`asked`) and for each time a charge was in the books (`booked`).
"""

import argparse
import hashlib
import json
import socket
import sqlite3
import sys
import threading
from contextlib import closing
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypedDict


class Fate(StrEnum):
    """The outcome of an attempt to charge."""

    FINE = "fine"  # charged and answered
    REFUSED = "refused"  # 503, not charged
    LATE = "late"  # charged only when the client has long given up waiting
    MUTE = "mute"  # charged at once, and then no answer in time
    DROPPED = "dropped"  # charged, and then the connection is closed without an answer


ODDS = {Fate.REFUSED: 0.08, Fate.LATE: 0.01, Fate.MUTE: 0.01, Fate.DROPPED: 0.06}
# From this attempt on a key has no more faults.
LAST_BAD_ATTEMPT = 3


class ChargeRequest(TypedDict):
    """The charge that a client asks for; `amount` is in the currency's smallest unit."""

    order_id: str
    amount: int
    currency: str
    description: str


class Books:
    """Attempts and charges in an SQLite file; one at a time, each durable when its call returns."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript(
            """
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;
            CREATE TABLE IF NOT EXISTS attempts (key TEXT NOT NULL, fate TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS charges (
                charge_id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, order_id TEXT NOT NULL,
                amount INTEGER NOT NULL, currency TEXT NOT NULL, description TEXT NOT NULL);
            """
        )

    def close(self) -> None:
        """Close the file; nothing can be asked after that."""
        self._db.close()

    def attempts(self, key: str) -> int:
        """Count the attempts noted for the key."""
        with self._lock:
            rows = self._db.execute("SELECT count(*) FROM attempts WHERE key = ?", (key,))
            return int(rows.fetchone()[0])

    def note(self, key: str, fate: Fate) -> None:
        """Note an attempt with its fate."""
        with self._lock:
            self._db.execute("INSERT INTO attempts VALUES (?, ?)", (key, fate))

    def charge(self, key: str, asked: ChargeRequest) -> tuple[int, bool]:
        """
        Charge unless the key has been charged; return the charge's id, and whether it is new.

        Of attempts at the same time exactly one makes the charge. Raises `ValueError` for a key
        that was charged for something else.
        """
        wanted = (asked["order_id"], asked["amount"], asked["currency"], asked["description"])
        with self._lock:
            inserted = self._db.execute(
                "INSERT INTO charges (key, order_id, amount, currency, description)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
                (key, *wanted),
            )
            is_new = inserted.rowcount == 1
            charge_id, *kept = self._db.execute(
                "SELECT charge_id, order_id, amount, currency, description"
                " FROM charges WHERE key = ?",
                (key,),
            ).fetchone()
        if tuple(kept) != wanted:
            raise ValueError(f"the key {key} was used for another charge")
        return int(charge_id), is_new


class PaymentServer(ThreadingHTTPServer):
    """The service on a free port of 127.0.0.1; without a seed it has no faults but those given."""

    # Closing waits for the late charges, which still need the books.
    daemon_threads = False

    def __init__(
        self, books: Books, seed: int | None, faults: dict[str, Fate], stall_s: float
    ) -> None:
        super().__init__(("127.0.0.1", 0), PaymentHandler)
        self.books = books
        self.stall_s = stall_s
        self._seed = seed
        self._faults = faults

    def fate(self, key: str, order_id: str) -> Fate:
        """Decide the outcome of the next attempt: the same for the same seed, key and number."""
        number = self.books.attempts(key) + 1
        if number == 1 and order_id in self._faults:
            return self._faults[order_id]
        if self._seed is None or number > LAST_BAD_ATTEMPT:
            return Fate.FINE
        digest = hashlib.sha256(f"{self._seed}/{key}/{number}".encode()).digest()
        draw = int.from_bytes(digest[:8]) / 2**64
        for fate, odds in ODDS.items():
            if draw < odds:
                return fate
            draw -= odds
        return Fate.FINE

    def handle_error(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Clients are killed all the time here: their broken connections are not logged."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class PaymentHandler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    # Else an answer's body waits up to 40 ms for the client to acknowledge its header.
    disable_nagle_algorithm = True
    server: PaymentServer

    def do_POST(self) -> None:
        """Charge, or misbehave."""
        asked: ChargeRequest = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Idempotency-Key"]
        fate = self.server.fate(key, asked["order_id"])
        self.server.books.note(key, fate)
        _tell("asked", order_id=asked["order_id"], fate=fate)
        if fate is Fate.REFUSED:
            self._answer(503, {"error": "come back later"})
        else:
            self._charge(key, asked, fate)

    def _charge(self, key: str, asked: ChargeRequest, fate: Fate) -> None:
        if fate is Fate.LATE:
            self._stall()
        try:
            charge_id, is_new = self.server.books.charge(key, asked)
        except ValueError as error:
            self._answer(409, {"error": str(error)})
            return
        _tell("booked", order_id=asked["order_id"], is_new=is_new)
        if fate is Fate.DROPPED:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if fate is Fate.MUTE:
            self._stall()
        self._answer(201 if is_new else 200, {"charge_id": charge_id, **asked})

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: each attempt is printed as JSON already."""

    def _stall(self) -> None:
        threading.Event().wait(self.server.stall_s)

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _tell(event: str, **fields: object) -> None:
    # One write a line: the handlers' threads share stdout.
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("books", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", action="append", default=[], metavar="ORDER=FATE")
    parser.add_argument("--stall-s", type=float, default=1.0)
    options = parser.parse_args()
    faults = {order: Fate(fate) for order, _, fate in (f.partition("=") for f in options.fault)}
    with (
        closing(Books(options.books)) as books,
        PaymentServer(books, options.seed, faults, options.stall_s) as server,
    ):
        _tell("listening", port=server.server_port)
        server.serve_forever()


if __name__ == "__main__":
    main()

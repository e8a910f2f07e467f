"""The proof, from what is on the disk when all processes are gone: books, ledger, checkpoints."""

import csv
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ledger import COLUMNS
from lives import Life
from orders_csv import OrdersFile
from processes import INSTANCE_ID


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be true, whether it is, and the figures."""

    claim: str
    holds: bool
    figures: str


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge in the payment service's books."""

    charge_id: int
    order_id: str
    amount: int
    currency: str
    description: str


@dataclass(frozen=True, slots=True)
class Books:
    """All that the payment service has written down."""

    charges: list[Charge]
    attempts: int

    @classmethod
    def read(cls, path: Path) -> "Books":
        """Read the file the service has left."""
        with closing(sqlite3.connect(path)) as db:
            charges = db.execute(
                "SELECT charge_id, order_id, amount, currency, description FROM charges"
            )
            [attempts] = db.execute("SELECT count(*) FROM attempts").fetchone()
            return cls([Charge(*row) for row in charges], attempts)


def prove(
    file: OrdersFile, books: Books, ledger: Path, database: Path, lives: Sequence[Life], kills: int
) -> list[Check]:
    """Check it all; nothing is left out when something fails."""
    return [
        _charged_once(file, books),
        _charged_rightly(file, books),
        _nothing_else_charged(file, books),
        _ledger_complete(file, books, ledger),
        _saved_once(file, books, database),
        _never_again(file, lives),
        _killed_as_planned(lives, kills),
    ]


def _charged_once(file: OrdersFile, books: Books) -> Check:
    times = Counter(charge.order_id for charge in books.charges)
    once = sum(times[order.id] == 1 for order in file.orders)
    return Check(
        "each valid order was charged exactly once",
        once == len(file.orders),
        f"{once} of {len(file.orders)} orders, in {books.attempts} attempts",
    )


def _charged_rightly(file: OrdersFile, books: Books) -> Check:
    wanted = {(o.id, o.amount, o.currency, o.note) for o in file.orders}
    found = {(c.order_id, c.amount, c.currency, c.description) for c in books.charges}
    return Check(
        "with the amount, currency and note of the file",
        wanted == found,
        f"{len(wanted & found)} as in the file, {len(wanted ^ found)} not",
    )


def _nothing_else_charged(file: OrdersFile, books: Books) -> Check:
    others = [c for c in books.charges if c.order_id not in {o.id for o in file.orders}]
    return Check(
        "no rejected row was charged",
        not others,
        f"{len(file.rejected)} rows rejected, {len(others)} charged",
    )


def _ledger_complete(file: OrdersFile, books: Books, ledger: Path) -> Check:
    charge_ids = {charge.order_id: charge.charge_id for charge in books.charges}
    wanted = {
        rejected.line: (rejected.order_id, f"rejected: {rejected.reason}", *[""] * 5)
        for rejected in file.rejected
    }
    for order in file.orders:
        money = (str(order.amount), order.currency, str(charge_ids.get(order.id)))
        wanted[order.line] = (order.id, "charged", *money, order.customer, order.note)
    with ledger.open(encoding="utf-8", newline="") as text:
        header, *rows = csv.reader(text)
    right = sum(wanted.get(int(line)) == tuple(rest) for line, *rest in rows)
    return Check(
        "the ledger has each row of the file, with its charge or its reason",
        header == list(COLUMNS) and right == len(rows) == len(wanted),
        f"{right} of {len(wanted)} rows",
    )


def _saved_once(file: OrdersFile, books: Books, database: Path) -> Check:
    charge_ids = {f"charge/{charge.order_id}": charge.charge_id for charge in books.charges}
    with closing(sqlite3.connect(database)) as db:
        statuses = db.execute(
            "SELECT status FROM instances WHERE instance_id = ?", (INSTANCE_ID,)
        ).fetchall()
        saved = db.execute(
            "SELECT checkpoint_id, state FROM checkpoints WHERE instance_id = ?", (INSTANCE_ID,)
        ).fetchall()
    right = sum(charge_ids.get(key) == json.loads(state)["charge_id"] for key, state in saved)
    return Check(
        "Runtara has the instance completed, and the receipt of each charge",
        statuses == [("completed",)] and right == len(saved) == len(file.orders),
        f"{' '.join(*statuses)}, {right} checkpoints",
    )


def _never_again(file: OrdersFile, lives: Sequence[Life]) -> Check:
    again = sum(
        len({*earlier.replayed, *earlier.charged} - set(later.replayed))
        for earlier, later in pairwise(lives)
    )
    complete = [*lives[-1].replayed, *lives[-1].charged] == [order.id for order in file.orders]
    return Check(
        "what one life saved, every later one replayed",
        complete and not again,
        f"{sum(len(life.replayed) for life in lives)} replayed, {again} done again",
    )


def _killed_as_planned(lives: Sequence[Life], kills: int) -> Check:
    sent = sum(len(life.server_killed) + (life.killed is not None) for life in lives)
    return Check("and the kills did happen", sent == kills, f"{sent} of {kills}")

"""
What the shop does to the world: it takes money, packs parcels, and reads its books.

The payment service and the warehouse are one SQLite file here, named by SHOP_BOOKS. Each of them
knows an idempotency key again, as real ones do, so an entry is made once, whatever crashes.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from runtara import Retry, current, step

RETRY = Retry(attempts=5, on=sqlite3.OperationalError, wait="100ms")
NOT_IN_STOCK = "unicorn"
REFUSED_CARD = "stolen"


class Declined(Exception):
    """Somebody has declined a large order; its argument is the name."""


class CardRefused(Exception):
    """The bank does not pay."""


class SoldOut(Exception):
    """The warehouse has no more of an item."""


@dataclass(frozen=True)
class Order:
    """What a customer buys."""

    id: str
    cents: int
    items: list[str] = field(default_factory=lambda: ["book"])
    card: str = "visa"


@dataclass(frozen=True)
class Decision:
    """What somebody has decided about a large order."""

    approved: bool
    by: str


@dataclass(frozen=True)
class Receipt:
    """What the customer gets."""

    payment: str
    parcels: list[str]


@dataclass(frozen=True)
class Report:
    """What a day has brought."""

    day: str
    orders: int
    cents: int


@step(retry=RETRY, raises=CardRefused)
def charge(order: Order) -> str:
    """Take the money; gives the payment's number."""
    if order.card == REFUSED_CARD:
        raise CardRefused(f"the bank refuses the card of {order.id}")
    _enter("charge", order.id, order.cents)
    return f"payment-{order.id}"


@step(retry=RETRY)
def refund(order: Order) -> None:
    """Give the money back."""
    _enter("refund", order.id, -order.cents)


@step(retry=RETRY, raises=SoldOut)
def pack(order_id: str, item: str) -> str:
    """Take an item from its shelf; gives the parcel's number."""
    if item == NOT_IN_STOCK:
        raise SoldOut(f"there is no {item} left for {order_id}")
    parcel = f"{order_id}/{item}"
    _enter("pack", parcel, 0)
    return parcel


@step(retry=RETRY)
def unpack(parcel: str) -> None:
    """Put what is in a parcel back on its shelf."""
    _enter("unpack", parcel, 0)


@step(retry=RETRY)
def takings(until: datetime) -> Report:
    """Sum up the day that ends then."""
    since = (until - timedelta(days=1)).isoformat()
    with _books() as books:
        [(orders, cents)] = books.execute(
            "SELECT count(DISTINCT CASE kind WHEN 'charge' THEN of END), coalesce(sum(cents), 0)"
            " FROM entries WHERE at > ? AND at <= ?",
            (since, until.isoformat()),
        )
    return Report(f"{until:%Y-%m-%d}", orders, cents)


def _enter(kind: str, of: str, cents: int) -> None:
    entry = (current().idempotency_key, kind, of, cents, datetime.now(UTC).isoformat())
    with _books() as books, books:
        books.execute("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?, ?)", entry)


@contextmanager
def _books() -> Iterator[sqlite3.Connection]:
    path = os.environ.get("SHOP_BOOKS", "books.db")
    with closing(sqlite3.connect(path)) as books:
        books.execute(
            "CREATE TABLE IF NOT EXISTS entries"
            " (key TEXT PRIMARY KEY, kind TEXT, of TEXT, cents INTEGER, at TEXT)"
        )
        yield books

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
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from runtara import Retry, current, step

RETRY = Retry(attempts=5, on=sqlite3.OperationalError, wait="100ms")
BERLIN = "Europe/Berlin"
"""Where the shop is, and its days begin."""
NOT_IN_STOCK = "unicorn"
REFUSED_CARD = "stolen"


class Declined(Exception):
    """A person has declined a large order; the argument is the person's name."""


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
    """A person's decision about a large order."""

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
    _enter("charge", order.id, "", order.cents)
    return f"payment-{order.id}"


@step(retry=RETRY)
def refund(order_id: str) -> None:
    """Give back the money that an order has brought, if it has."""
    _reverse("charge", "refund", order_id)


@step(retry=RETRY, raises=SoldOut)
def pack(order_id: str, item: str) -> str:
    """Take an item from its shelf; gives the parcel's number."""
    if item == NOT_IN_STOCK:
        raise SoldOut(f"there is no {item} left for {order_id}")
    _enter("pack", order_id, item, 0)
    return f"{order_id}/{item}"


@step(retry=RETRY)
def unpack(order_id: str) -> None:
    """Put back on their shelves the items that are packed of an order."""
    _reverse("pack", "unpack", order_id)


@step(retry=RETRY)
def takings(moment: datetime) -> Report:
    """Sum up the day before that of the moment, in Berlin."""
    since, until = day_before(moment)
    with _books() as books:
        [(orders, cents)] = books.execute(
            "SELECT count(DISTINCT CASE kind WHEN 'charge' THEN of END), coalesce(sum(cents), 0)"
            " FROM entries WHERE at >= ? AND at < ?",
            (since.astimezone(UTC).isoformat(), until.astimezone(UTC).isoformat()),
        )
    return Report(f"{since:%Y-%m-%d}", orders, cents)


def day_before(moment: datetime) -> tuple[datetime, datetime]:
    """Give the midnights between which it lies: 23 hours apart once a year, and 25 once."""
    zone = ZoneInfo(BERLIN)
    until = datetime.combine(moment.astimezone(zone), time.min, zone)
    return until - timedelta(days=1), until


def _enter(kind: str, of: str, item: str, cents: int) -> None:
    entry = (current().idempotency_key, kind, of, item, cents, datetime.now(UTC).isoformat())
    with _books() as books, books:
        books.execute("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?, ?, ?)", entry)


def _reverse(kind: str, reversal: str, of: str) -> None:
    """Enter the opposite of what the books have; a step that was cut off may have entered it."""
    key, now = current().idempotency_key, datetime.now(UTC).isoformat()
    with _books() as books, books:
        books.execute(
            "INSERT OR IGNORE INTO entries"
            " SELECT ? || '/' || key, ?, of, item, -cents, ? FROM entries"
            " WHERE kind = ? AND of = ?",
            (key, reversal, now, kind, of),
        )


@contextmanager
def _books() -> Iterator[sqlite3.Connection]:
    path = os.environ.get("SHOP_BOOKS", "books.db")
    with closing(sqlite3.connect(path)) as books:
        books.execute(
            "CREATE TABLE IF NOT EXISTS entries"
            " (key TEXT PRIMARY KEY, kind TEXT, of TEXT, item TEXT, cents INTEGER, at TEXT)"
        )
        yield books

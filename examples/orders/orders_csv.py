"""What a file of orders holds: the orders that can be charged, and why each other row can't be."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

COLUMNS = ("order_id", "placed_on", "customer", "amount", "currency", "note")
# How many decimals an amount may have.
CURRENCIES = {"CHF": 2, "EUR": 2, "GBP": 2, "JPY": 0, "USD": 2}

# The csv module refuses fields over 128 KiB by default; a note can be a whole mail.
csv.field_size_limit(16 * 1024 * 1024)


class UnusableFile(Exception):
    """The file as a whole is not a file of orders; the message says why."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order to charge; `amount` is in the currency's smallest unit."""

    line: int
    id: str
    placed_on: date
    customer: str
    amount: int
    currency: str
    note: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that is not charged; `line` is where it begins in the file, counted from 1."""

    line: int
    order_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class OrdersFile:
    """Every row of a file but the header and blank lines, in its order, as one or the other."""

    orders: list[Order] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def read_orders(path: Path) -> OrdersFile:
    """
    Sort a file's rows into orders and rejected ones; of rows with one id the first good one counts.

    Raises `UnusableFile` where the header is not the one we know.
    """
    # surrogateescape: one byte that isn't UTF-8 costs its row, not the file.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        rows = _rows(text)
        _, header = next(rows, (1, []))
        if header != list(COLUMNS):
            raise UnusableFile(f"the header is {header!r}, not {','.join(COLUMNS)!r}")
        return _sort(rows)


def _rows(text: Iterator[str]) -> Iterator[tuple[int, Sequence[str] | csv.Error]]:
    """Give each record and the line on which it begins; for an unreadable one its error."""
    reader = csv.reader(text, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, error


def _sort(rows: Iterator[tuple[int, Sequence[str] | csv.Error]]) -> OrdersFile:
    file = OrdersFile()
    taken: dict[str, tuple[int, Sequence[str]]] = {}
    for line, row in rows:
        if isinstance(row, csv.Error):
            file.rejected.append(Rejected(line, "", f"the quoting is broken: {row}"))
        elif row:
            reasons = _faults(row, taken)
            if reasons:
                file.rejected.append(Rejected(line, _printable(row[0]), "; ".join(reasons)))
            else:
                taken[row[0]] = (line, row)
                file.orders.append(_order(line, row))
    return file


def _faults(row: Sequence[str], taken: dict[str, tuple[int, Sequence[str]]]) -> list[str]:
    """Say everything that is wrong with a row, so that it needs mending only once."""
    if len(row) != len(COLUMNS):
        return [f"not {len(COLUMNS)} columns but {len(row)}"]
    if not _is_utf8(row):
        return ["the text is not UTF-8"]
    order_id, placed_on, _, amount, currency, _ = row
    if order_id in taken:
        line, first = taken[order_id]
        return [f"a repetition of line {line}" if row == first else f"the id is line {line}'s"]
    faults = []
    if not re.fullmatch(r"[A-Za-z0-9-]{1,40}", order_id):
        faults.append(f"bad order_id {_short(order_id)}")
    if not _is_date(placed_on):
        faults.append(f"bad date {_short(placed_on)}, it takes YYYY-MM-DD")
    if currency not in CURRENCIES:
        faults.append(f"bad currency {_short(currency)}, it takes {', '.join(CURRENCIES)}")
    if not _is_amount(amount, CURRENCIES.get(currency, 2)):
        faults.append(f"bad amount {_short(amount)}")
    return faults


def _order(line: int, row: Sequence[str]) -> Order:
    order_id, placed_on, customer, amount, currency, note = row
    whole, _, fraction = amount.partition(".")
    minor = int(whole + fraction.ljust(CURRENCIES[currency], "0"))
    return Order(line, order_id, date.fromisoformat(placed_on), customer, minor, currency, note)


def _is_amount(text: str, decimals: int) -> bool:
    # Not Decimal(text): it takes "NaN", "1e3" and Arabic digits, which are no amounts here.
    match = re.fullmatch(r"([0-9]{1,9})(?:\.([0-9]{1,4}))?", text)
    return (
        match is not None
        and len(match[2] or "") <= decimals
        and re.search("[1-9]", text) is not None
    )


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is not None


def _is_utf8(row: Sequence[str]) -> bool:
    try:
        "".join(row).encode()
    except UnicodeEncodeError:
        return False
    return True


def _printable(text: str) -> str:
    return text.encode(errors="replace").decode()[:40]


def _short(text: str) -> str:
    return repr(text if len(text) <= 30 else f"{text[:29]}…")

"""
Make a file of orders with the mess that real files have; the same seed makes the same bytes.

    uv run examples/orders/make_orders.py            writes orders.csv beside this script
"""

import argparse
import csv
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from orders_csv import COLUMNS, CURRENCIES

ORDERS, SEED = 300, 1
BIG_NOTES_KB = (100, 200, 300)
CUSTOMERS = (
    "Ann Lee", "Zoë Müller", "José Núñez", "Łukasz Żak", "Søren Ærø", "O'Brien, Pat",
    '"Ace" Traders', "佐藤 花子", "王小明", "김민준", "Ольга Иванова", "محمد علي",
    "Nguye\u0302\u0303n An", "🦊 Fox & Söhne",
)  # fmt: skip
NOTES = (
    "", "", "gift wrap, please", "ring twice\r\nthen leave it at the door",
    "line one\nline two\n\nline four", 'the "blue" one', "=SUM(A1:A9)", "déjà payé? non!",
    "\N{WOMAN}\u200d\N{WOMAN}\u200d\N{GIRL} for the family 🎂", "納品は午前中に、お願いします",
    "  keep the spaces  ", "tab\there; semicolon, too", "5″ wide, “matte”", "\u202eright to left",
)  # fmt: skip
# What is wrong in one field: its column, its content, the word in which the import must complain.
BAD_FIELDS = (
    ("amount", "", "amount"), ("amount", "abc", "amount"), ("amount", "-5.00", "amount"),
    ("amount", "0.00", "amount"), ("amount", "1.234,56", "amount"), ("amount", "12.345", "amount"),
    ("amount", "NaN", "amount"), ("amount", "1e3", "amount"), ("amount", "١٢", "amount"),
    ("currency", "", "currency"), ("currency", "EURO", "currency"), ("currency", "€", "currency"),
    ("currency", "eur", "currency"), ("placed_on", "", "date"), ("placed_on", "31/12/2025", "date"),
    ("placed_on", "2025-02-30", "date"), ("placed_on", "yesterday", "date"),
    ("order_id", "", "order_id"), ("order_id", "nº 7", "order_id"),
)  # fmt: skip
# Records that are wrong as bytes, with the word in which the import must complain.
MALFORMED = (
    (b"ID,2025-03-01,Too Short\r\n", "columns"),
    (b"ID,2025-03-01,Too Long,5.00,EUR,a,b,c\r\n", "columns"),
    (b"ID;2025-03-01;Semicolons;5.00;EUR;\r\n", "columns"),
    (b"ID,2025-03-01,Ren\xe9 in Latin-1,5.00,EUR,\r\n", "UTF-8"),
    (b'ID,2025-03-01,"Half "quoted,5.00,EUR,\r\n', "quoting"),
    (b"ID,31.12.2025,,free,BTC,everything at once\r\n", "date"),
)

Spoiler = tuple[str, str, str] | tuple[bytes, str]


@dataclass(slots=True)
class MadeFile:
    """The bytes of a file, and the truth about it, which the import has to find out by itself."""

    content: bytes = b""
    # By order id, the row's line, amount in the smallest unit, and currency.
    valid: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    # By the line a row begins on, a word its reason must have.
    bad: dict[int, str] = field(default_factory=dict)

    def add(self, record: bytes) -> int:
        """Append a record and return the line it begins on."""
        line = len(self.content.splitlines()) + 1
        self.content += record
        return line


def make_orders(orders: int = ORDERS, seed: int = SEED) -> MadeFile:
    """Make a file of so many valid orders, with a bad row of some kind after every fifth or so."""
    rng = random.Random(seed)
    made = MadeFile()
    made.add("\ufeff".encode() + _record(COLUMNS))
    big = dict(zip(rng.sample(range(orders), min(3, orders)), BIG_NOTES_KB, strict=False))
    spoilers: list[Spoiler] = [*BAD_FIELDS, *MALFORMED]
    rng.shuffle(spoilers)
    valid_rows: list[list[str]] = []
    for number in range(orders):
        row = _valid_row(rng, number, big.get(number))
        _add_valid(made, row)
        valid_rows.append(row)
        if rng.random() < 0.2:
            _add_bad(made, rng, spoilers[number % len(spoilers)], f"X-{number}")
        if rng.random() < 0.06:
            _add_repetition(made, rng, rng.choice(valid_rows))
    made.add(b"\r\n")
    for number, spoiler in enumerate(spoilers):
        _add_bad(made, rng, spoiler, f"Y-{number}")
    return made


def _valid_row(rng: random.Random, number: int, big_kb: int | None) -> list[str]:
    currency = rng.choice(list(CURRENCIES))
    minor = rng.randint(1, 99_999)
    amount = str(minor) if CURRENCIES[currency] == 0 else f"{minor // 100}.{minor % 100:02}"
    placed_on = date(2025, 1, 1) + timedelta(days=rng.randrange(365))
    note = rng.choice(NOTES) if big_kb is None else _big_note(rng, big_kb * 1024)
    order_id = f"A-{1000 + number}"
    return [order_id, placed_on.isoformat(), rng.choice(CUSTOMERS), amount, currency, note]


def _big_note(rng: random.Random, size: int) -> str:
    """A whole mail pasted into a field: so many bytes, or a line more."""
    lines: list[str] = []
    while size > 0:
        lines.append(f'> {rng.randrange(10**6)}: "so wie besprochen", 了解しました ✅, à bientôt')
        size -= len(lines[-1].encode()) + 1
    return "\n".join(lines)


def _add_valid(made: MadeFile, row: list[str]) -> None:
    order_id, _, _, amount, currency, _ = row
    line = made.add(_record(row))
    made.valid[order_id] = (line, int(amount.replace(".", "")), currency)


def _add_repetition(made: MadeFile, rng: random.Random, row: list[str]) -> None:
    """The same row once more, or its id with another content: two orders, or a correction?"""
    if rng.random() < 0.5:
        made.bad[made.add(_record(row))] = "repetition"
    else:
        other = [*row[:2], "Somebody Else", "1", *row[4:5], "same id, other order"]
        made.bad[made.add(_record(other))] = "the id is line"


def _add_bad(
    made: MadeFile,
    rng: random.Random,
    spoiler: Spoiler,
    order_id: str,
) -> None:
    if len(spoiler) == 2:
        template, word = spoiler
        record = template.replace(b"ID", order_id.encode())
    else:
        column, content, word = spoiler
        row = [order_id, *_valid_row(rng, 0, None)[1:]]
        row[COLUMNS.index(column)] = content
        record = _record(row)
    made.bad[made.add(record)] = word


def _record(row: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(row)
    return text.getvalue().encode()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--orders", type=int, default=ORDERS)
    arguments.add_argument("--seed", type=int, default=SEED)
    arguments.add_argument("--to", type=Path, default=Path(__file__).with_name("orders.csv"))
    options = arguments.parse_args()
    options.to.write_bytes(make_orders(options.orders, options.seed).content)

"""The ledger: a CSV file with the result of each row of the orders."""

import csv
import json
import os
from collections.abc import Mapping
from pathlib import Path

from orders_csv import OrdersFile

COLUMNS = ("line", "order_id", "outcome", "amount", "currency", "charge_id", "customer", "note")


def write_ledger(path: Path, file: OrdersFile, receipts: Mapping[str, bytes]) -> None:
    """Write the ledger in the file's order: all of it is there when this returns, or none."""
    rows: dict[int, tuple[object, ...]] = {}
    for rejected in file.rejected:
        rows[rejected.line] = (rejected.order_id, f"rejected: {rejected.reason}", *[""] * 5)
    for order in file.orders:
        receipt = json.loads(receipts[order.id])
        money = (receipt["amount"], receipt["currency"], receipt["charge_id"])
        rows[order.line] = (order.id, "charged", *money, order.customer, receipt["description"])
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        writer.writerows((line, *rows[line]) for line in sorted(rows))
        text.flush()
        os.fsync(text.fileno())
    unfinished.replace(path)

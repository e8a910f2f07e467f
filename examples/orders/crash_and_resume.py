"""
Import orders while everything crashes, and prove that each was charged exactly once.

    uv run examples/orders/crash_and_resume.py

It starts a Runtara server, a payment service that often fails, and `import_orders.py`; kills the
import and the server with SIGKILL, again and again, also in the middle of a charge; starts them
again; and in the end compares the payment service's books with the orders and the ledger.
The exit code is 0 only if the proof holds.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from kill_plan import TooManyKills, plan_faults, plan_kills
from lives import Life, Ordeal
from make_orders import make_orders
from orders_csv import read_orders
from processes import HERE, ProcessFailed, Stage
from proof import Books, Check, prove
from screen import Screen


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of the demonstration."""

    ok: bool
    orders: int
    rejected: int
    attempts: int
    charges: int
    seconds: float
    lives: list[Life]
    checks: list[Check]


def main() -> int:
    """Run the demonstration; the result is the exit code."""
    options = _options()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="runtara-orders-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        print(f"{folder} is not empty", file=sys.stderr)
        return 2
    try:
        outcome = asyncio.run(_demonstrate(options, folder.resolve()))
    except KeyboardInterrupt:
        return 130
    except TooManyKills as error:
        shutil.rmtree(folder)
        print(error, file=sys.stderr)
        return 2
    except ProcessFailed as error:
        print(json.dumps({"ok": False, "error": str(error)}) if options.json else error)
        print(f"Its files are in {folder}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(asdict(outcome)))
    if not outcome.ok or options.folder:
        print(f"Its files are in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return 0 if outcome.ok else 1


async def _demonstrate(options: argparse.Namespace, folder: Path) -> Outcome:
    began = time.monotonic()
    orders = HERE / "orders.csv"
    if options.orders is not None:
        orders = folder / "orders.csv"
        orders.write_bytes(make_orders(options.orders, options.seed).content)
    file = read_orders(orders)
    order_ids = [order.id for order in file.orders]
    plan = plan_kills(order_ids, options.kills, options.seed)
    screen = Screen(file, quiet=options.json)
    async with Stage(folder, orders) as stage:
        await stage.start_payments(options.seed, plan_faults(plan, order_ids))
        with screen:
            ordeal = Ordeal(stage, plan, screen.watch)
            await ordeal.run()
    books = Books.read(stage.books)
    checks = prove(file, books, stage.ledger, stage.database, ordeal.lives, options.kills)
    seconds = time.monotonic() - began
    screen.show_outcome(ordeal.lives, checks, seconds)
    return Outcome(
        ok=all(check.holds for check in checks),
        orders=len(file.orders),
        rejected=len(file.rejected),
        attempts=books.attempts,
        charges=len(books.charges),
        seconds=round(seconds, 1),
        lives=ordeal.lives,
        checks=checks,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Import orders while everything crashes.")
    parser.add_argument("--seed", type=int, default=1, help="decides what fails and dies when")
    parser.add_argument("--kills", type=int, default=7, help="how many SIGKILLs are sent")
    parser.add_argument("--orders", type=int, help="make a file of so many instead of orders.csv")
    parser.add_argument("--json", action="store_true", help="print only the outcome, as JSON")
    parser.add_argument("--folder", type=Path, help="an empty folder to work in, and to keep")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

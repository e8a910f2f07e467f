"""examples/shop: a web application in several processes, each of them a worker too."""

import asyncio
import os
import random
import re
import runpy
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.postgres import empty_database

from runtara_persistence.connect import connect as database_at

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "examples/README.md").read_text()
COMMAND = re.search(r"^RUNTARA_DATABASE_URL=\S+ uv run (uvicorn .* --workers 4 .*)$", PAGE, re.M)
GENEROUS = 60.0
FINAL = ("completed", "failed", "cancelled")
APPROVED = {"approved": True, "by": "Ann"}


class Shop:
    """The shop that runs, as its customers and its book-keeper see it."""

    def __init__(self, folder: Path, http: httpx.Client, process_id: int) -> None:
        self.folder, self.http, self.process_id = folder, http, process_id

    def ask(self, method: str, path: str, json: object = None) -> httpx.Response:
        """Ask as a customer does: again, where the process that was asked has died."""
        deadline = time.monotonic() + GENEROUS
        while True:
            with suppress(httpx.TransportError):
                return self.http.request(method, path, json=json)
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def order(self, order_id: str, cents: int = 995, **more: Any) -> None:
        """Place an order."""
        placed = self.ask("POST", "/orders", {"id": order_id, "cents": cents} | more)
        assert placed.status_code == 202, placed.text

    def until(self, order_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until an order stands as asked for; gives how it stands."""
        deadline = time.monotonic() + GENEROUS
        while True:
            found: dict[str, Any] = self.ask("GET", f"/orders/{order_id}").raise_for_status().json()
            if holds(found):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.02)

    def until_waiting(self, order_id: str) -> dict[str, Any]:
        """Wait until an order is to be approved."""
        return self.until(order_id, lambda found: found["waits_for"] == ["approval"])

    def ended(self, order_id: str) -> dict[str, Any]:
        """Wait for an order's end."""
        return self.until(order_id, lambda found: found["status"] in FINAL)

    def entries(self, order_id: str) -> list[str]:
        """Give what the books have of an order, in its order."""
        with closing(sqlite3.connect(self.folder / "books.db")) as books:
            rows = books.execute("SELECT kind FROM entries WHERE of = ? ORDER BY at", (order_id,))
            return [kind for (kind,) in rows]

    def processes(self) -> list[int]:
        """Give the web application's processes, of which each has one that runs instances."""
        return children(self.process_id, b"spawn_main")


def children(process_id: int, word: bytes) -> list[int]:
    """Give the live children of a process whose command has this word."""
    try:
        every = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
        return [int(each) for each in every if word in Path(f"/proc/{each}/cmdline").read_bytes()]
    except (FileNotFoundError, ProcessLookupError):
        return []  # One of them has just ended.


def descendants(process_id: int) -> list[int]:
    """Give the processes that run a worker's instances, and those from which they are forked."""
    found = children(process_id, b"runtara.child_process")
    return [*found, *(each for child in found for each in descendants(child))]


@contextmanager
def running(folder: Path, database_url: str, workers: int) -> Iterator[Shop]:
    """Run the shop in a folder of its own by the README's command, with so many processes."""
    assert COMMAND is not None
    command = COMMAND[1].replace("examples/shop", str(ROOT / "examples/shop")).split()
    command[command.index("4")] = str(workers)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "--port", str(port), "--log-level", "warning"],
        cwd=folder,
        env={**os.environ, "RUNTARA_DATABASE_URL": database_url},
        start_new_session=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=GENEROUS) as http:
            shop = Shop(folder, http, process.pid)
            shop.ask("GET", "/").raise_for_status()
            yield shop
        process.send_signal(signal.SIGTERM)
        assert process.wait(GENEROUS) in (0, -signal.SIGTERM)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop in two processes, on a SQLite file as in its README."""
    with running(tmp_path_factory.mktemp("shop"), "sqlite:shop.db", 2) as found:
        yield found


def test_a_small_order_is_charged_and_packed(shop: Shop) -> None:
    shop.order("small", items=["book", "pen"])
    again = shop.http.post("/orders", json={"id": "small", "cents": 995, "items": ["book", "pen"]})
    other = shop.http.post("/orders", json={"id": "small", "cents": 1})

    found = shop.ended("small")
    assert (again.json()["is_new"], other.status_code) == (False, 409)
    assert (found["status"], found["progress"]) == ("completed", "packing")
    assert found["receipt"] == {"payment": "payment-small", "parcels": ["small/book", "small/pen"]}
    assert shop.entries("small") == ["charge", "pack", "pack"]


def test_a_large_order_waits_for_an_approval_on_its_page(shop: Shop) -> None:
    shop.order("large", 25000)
    assert shop.until_waiting("large")["progress"] == "waiting for approval"
    assert "large" in shop.http.get("/").text

    sent = shop.http.post("/orders/large/decision", json=APPROVED).json()
    assert sent == {"stands": True, "warning": None}
    assert shop.ended("large")["receipt"]["parcels"] == ["large/book"]


@pytest.mark.parametrize(
    ("order_id", "more", "error", "entries"),
    [
        ("stolen", {"card": "stolen"}, "CardRefused", []),
        (
            "sold-out",
            {"items": ["book", "unicorn"]},
            "SoldOut",
            ["charge", "pack", "unpack", "refund"],
        ),
    ],
)
def test_what_was_done_for_an_order_that_fails_is_undone(
    shop: Shop, order_id: str, more: dict[str, Any], error: str, entries: list[str]
) -> None:
    shop.order(order_id, **more)

    found = shop.ended(order_id)
    assert found["status"] == "failed"
    assert error in found["error"]
    assert shop.entries(order_id) == entries


def test_a_declined_and_a_cancelled_order_are_refunded(shop: Shop) -> None:
    for order_id in ("declined", "cancelled"):
        shop.order(order_id, 25000)
        shop.until_waiting(order_id)
    shop.http.post("/orders/declined/decision", json={"approved": False, "by": "Bob"})
    shop.http.delete("/orders/cancelled").raise_for_status()

    assert [shop.ended(one)["status"] for one in ("declined", "cancelled")] == [*FINAL[1:]]
    assert [shop.entries(one) for one in ("declined", "cancelled")] == [["charge", "refund"]] * 2
    assert shop.http.delete("/orders/cancelled").status_code == 409
    assert shop.http.get("/orders/unknown").status_code == 404


def test_a_cancel_while_an_item_is_packed_undoes_that_too(shop: Shop) -> None:
    shop.order("half-packed", 25000, items=["book", "pen"])
    shop.until_waiting("half-packed")
    with closing(sqlite3.connect(shop.folder / "books.db")) as books:
        # The step that packs waits for the books.
        books.execute("BEGIN IMMEDIATE")
        shop.http.post("/orders/half-packed/decision", json=APPROVED)
        shop.until("half-packed", lambda found: found["progress"] == "packing")
        shop.http.delete("/orders/half-packed").raise_for_status()

    assert shop.ended("half-packed")["status"] == "cancelled"
    done = shop.entries("half-packed")
    assert done.count("unpack") == done.count("pack") < 2
    assert (done[0], done[-1]) == ("charge", "refund")


def test_the_money_goes_back_even_where_items_can_not(shop: Shop) -> None:
    """The step that puts them back fails for good."""
    shop.order("shelved")
    shop.ended("shelved")
    with closing(sqlite3.connect(shop.folder / "books.db")) as books:
        books.execute(
            "CREATE TRIGGER locked BEFORE INSERT ON entries"
            " WHEN new.kind = 'unpack' AND new.of = 'locked'"
            " BEGIN SELECT raise(ABORT, 'the warehouse is locked'); END"
        )
    shop.order("locked", items=["book", "unicorn"])

    found = shop.ended("locked")
    assert found["status"] == "failed"
    assert "the warehouse is locked" in found["error"]
    assert shop.entries("locked") == ["charge", "pack", "refund"]


def test_ids_of_customers_name_orders_alone(shop: Shop) -> None:
    """They don't name the child that undoes an order. Too long an id is the customer's error."""
    shop.order("undone", card="stolen")
    shop.ended("undone")

    assert shop.http.get("/orders/undo-undone").status_code == 404
    assert shop.http.post("/orders", json={"id": "x" * 5000, "cents": 1}).status_code == 422


def test_the_day_before_is_one_of_berlin() -> None:
    """The cron's tick is at 03:00 there, an hour earlier in UTC from spring to autumn."""
    day_before = runpy.run_path(str(ROOT / "examples/shop/steps.py"))["day_before"]
    spring = datetime(2026, 3, 30, 1, tzinfo=UTC)
    autumn = datetime(2026, 10, 26, 2, tzinfo=UTC)

    assert [
        [midnight.astimezone(UTC).isoformat() for midnight in day_before(moment)]
        for moment in (spring, autumn)
    ] == [
        ["2026-03-28T23:00:00+00:00", "2026-03-29T22:00:00+00:00"],
        ["2026-10-24T22:00:00+00:00", "2026-10-25T23:00:00+00:00"],
    ]


async def test_the_nightly_report_sums_up_the_day(shop: Shop) -> None:
    """Every process declares the schedule; its tick is carried out once."""
    with closing(sqlite3.connect(shop.folder / "books.db")) as books, books:
        books.execute("DELETE FROM entries")
    shop.order("of-the-day", 777)
    shop.ended("of-the-day")
    # A tick reports the day before.
    with closing(sqlite3.connect(shop.folder / "books.db")) as books, books:
        a_day_ago = (datetime.now(UTC) - timedelta(days=1)).isoformat()
        books.execute("UPDATE entries SET at = ? WHERE of = 'of-the-day'", (a_day_ago,))
    async with database_at(f"sqlite:{shop.folder}/shop.db") as stored:
        await stored.schedules.pause("default", "nightly")
        [paused] = await stored.schedules.page()
        await stored.schedules.resume(paused, next_tick_at=datetime.now(UTC))

    async with asyncio.timeout(GENEROUS):
        while not (reports := shop.http.get("/reports").json()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    [report] = reports
    assert (report["orders"], report["cents"]) == (1, 777)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path}/shop.db"
        return
    with empty_database() as url:
        yield url


DEATHS = 16
KINDS = ("small", "approved", "declined", "cancelled", "sold out")
DONE = ["charge", "pack", "pack"]
ENDS = {
    "small": ("completed", DONE),
    "approved": ("completed", DONE),
    "declined": ("failed", ["charge", "refund"]),
    "cancelled": ("cancelled", ["charge", "refund"]),
    "sold out": ("failed", ["charge", "pack", "unpack", "refund"]),
}


@contextmanager
def killing(shop: Shop) -> Iterator[None]:
    """Kill processes at random: of the web application, and those that run its instances."""
    chance, is_over = random.Random(7), threading.Event()

    def kill() -> int:
        done = 0
        while done < DEATHS and not is_over.wait(chance.uniform(0.2, 1.0)):
            web = shop.processes()
            runs = [child for each in web for child in descendants(each)]
            with suppress(IndexError, ProcessLookupError):
                os.kill(chance.choice(web if chance.random() < 0.5 else runs), signal.SIGKILL)
                done += 1
        return done

    with ThreadPoolExecutor() as threads:
        killed = threads.submit(kill)
        try:
            yield
            assert killed.result() == DEATHS
        finally:
            is_over.set()


@pytest.mark.long
def test_each_order_ends_once_whatever_processes_are_killed(
    tmp_path: Path, database_url: str
) -> None:
    """Each order has all its effects, and none of them twice."""
    orders = {f"order-{number}": KINDS[number % len(KINDS)] for number in range(60)}
    with running(tmp_path, database_url, 4) as shop:
        with killing(shop):
            for order, kind in orders.items():
                items = ["book", "unicorn" if kind == "sold out" else "pen"]
                shop.order(order, 995 if kind in ("small", "sold out") else 25000, items=items)
            for order, kind in orders.items():
                if kind in ("approved", "declined"):
                    shop.until_waiting(order)
                    decision = {"approved": kind == "approved", "by": "Ann"}
                    shop.ask("POST", f"/orders/{order}/decision", decision)
                elif kind == "cancelled":
                    shop.until_waiting(order)
                    shop.ask("DELETE", f"/orders/{order}")
        ended = {order: shop.ended(order)["status"] for order in orders}
        done = {order: (ended[order], shop.entries(order)) for order in orders}

    assert done == {order: ENDS[kind] for order, kind in orders.items()}

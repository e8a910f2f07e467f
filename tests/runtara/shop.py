"""A small shop: run as a program it is a worker of it, which notes what its steps do in a file."""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from runtara import (
    Promise,
    TaskGroup,
    child,
    continue_as_new,
    serve,
    sleep,
    step,
    workflow,
)


@dataclass(frozen=True)
class Order:
    """What is bought; `pause` is how long, in seconds, charging takes."""

    id: str
    cents: int
    pause: float = 0.0


@dataclass(frozen=True)
class Decision:
    """A person's decision about an order."""

    approved: bool
    by: str


class Declined(Exception):
    """A person has declined an order; the argument is the name."""


APPROVAL = Promise("approval", Decision)


@dataclass(frozen=True)
class Receipt:
    """What the customer gets."""

    order: str
    cents: int
    approved_by: str


def note(what: str) -> None:
    """Write down what happens, for a test to read."""
    path = os.environ.get("SHOP_NOTES")
    if path:
        with Path(path).open("a") as notes:
            notes.write(f"{what}\n")


@step
async def charge(order: Order) -> int:
    """Take the money."""
    note(f"charging {order.id}")
    await asyncio.sleep(order.pause)
    note(f"charged {order.id}")
    return order.cents


@step
async def ship(order: Order) -> str:
    """Send the parcel."""
    note(f"shipped {order.id}")
    return f"parcel of {order.id}"


@workflow(suspend_after="0s", raises=Declined)
async def fulfil(order: Order) -> Receipt:
    """Charge, wait for a decision, ship."""
    cents = await charge(order)
    decision = await APPROVAL.get()
    if not decision.approved:
        raise Declined(decision.by)
    await ship(order)
    return Receipt(order.id, cents, decision.by)


@workflow(suspend_after="0s")
async def nap(seconds: float = 0.05) -> str:
    """Sleep without a process."""
    await sleep(seconds)
    return "rested"


@workflow
async def greet(name: str = "you", times: int = 1) -> list[str]:
    """Say hello so often."""
    return [f"Hello, {name}!"] * times


@workflow
async def steps(count: int, pause: float = 0.0) -> int:
    """Take so many steps."""
    total = 0
    for number in range(count):
        total += await charge(Order(f"{number}", 1, pause))
    return total


@workflow
async def picky(takes: bool) -> None:
    """Fail."""
    if not takes:
        raise ValueError("not today")


@workflow
async def countdown(number: int) -> str:
    """Go on as another instance until nothing is left."""
    if number:
        await continue_as_new(number - 1)
    return "over"


@step
def read(path: str) -> str:
    """Read a file that has to be there."""
    note(f"reading {path}")
    return Path(path).read_text()


@workflow
async def reading(path: str) -> str:
    """Read a file, after a charge."""
    await charge(Order("reading", 1))
    return await read(path)


@workflow(suspend_after="0s")
async def family(names: list[str]) -> list[str]:
    """Say hello by children, all at once."""
    async with TaskGroup() as group:
        tasks = [group.create_task(_one(name), name=name) for name in names]
    return [task.result() for task in tasks]


async def _one(name: str) -> str:
    [said] = await child(greet.bind(name), id=f"child-{name}")
    return said


@workflow
async def pid() -> int:
    """Tell in which process it runs."""
    return os.getpid()


@workflow
async def deadly() -> None:
    """Kill the process that it runs in."""
    note("deadly")
    os.kill(os.getpid(), signal.SIGKILL)


@workflow
async def parent(number: int) -> int:
    """Take a step, and tell by which process that of the last run was started."""
    await charge(Order(f"{number}", 1, 1.0))
    return os.getppid()


WORKFLOWS = (fulfil, nap, greet, steps, picky, countdown, reading, family, pid, deadly, parent)

if __name__ == "__main__":
    asyncio.run(serve(*WORKFLOWS, concurrency=int(sys.argv[1]) if sys.argv[1:] else 50))

"""A small shop with our worker and client, as users have them; see `benchmarks.orders`."""

import asyncio
import itertools
import time
from collections.abc import Awaitable
from dataclasses import dataclass

import uvloop
from serving import RESULT, at_most, serve

from runtara import Promise, Worker, child, connect, step, workflow

PATIENCE = "10m"


@dataclass(frozen=True)
class Decision:
    """A person's decision about an order."""

    approved: bool
    by: str


APPROVAL = Promise("approval", Decision)


@step
async def charge(order: str) -> str:
    """Take the money."""
    return RESULT


@step
async def pack(order: str, item: str) -> str:
    """Pack an item."""
    return f"{order}/{item}"


@step
async def mail(order: str, parcels: list[str]) -> str:
    """Tell the customer."""
    return RESULT


@workflow
async def parcel(order: str, item: str) -> str:
    """Pack an item as an instance of its own."""
    return await pack(order, item)


@workflow
async def fulfil(order: str, items: list[str]) -> list[str]:
    """Charge, wait for an approval, have each item packed by a child, write to the customer."""
    await charge(order)
    decision = await APPROVAL.get(timeout="1h")
    if not decision.approved:
        return []
    children: list[Awaitable[str]] = [
        child(parcel.bind(order, item), id=f"{order}-{item}") for item in items
    ]
    parcels = await asyncio.gather(*children)
    await mail(order, parcels)
    return parcels


async def main() -> None:
    """Take orders while a worker carries them out."""
    numbers = itertools.count()
    async with connect() as client, Worker(fulfil, parcel):

        async def order() -> None:
            name = f"order-{time.time_ns()}-{next(numbers)}"
            handle = await client.start(fulfil.bind(name, ["desk", "lamp"]), id=name)
            await handle.send(APPROVAL, Decision(True, "Ann"))
            assert await handle.result(PATIENCE) == [f"{name}/desk", f"{name}/lamp"]

        async def run(at_once: int, count: int) -> float:
            start = time.perf_counter()
            await at_most(at_once, count, order)
            return time.perf_counter() - start

        await serve(run)


if __name__ == "__main__":
    uvloop.run(main())

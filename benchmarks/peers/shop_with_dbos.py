"""The same small shop with DBOS; see `benchmarks.orders`."""

import itertools
import sys
import time

import uvloop
from dbos import DBOS, SetWorkflowID
from serving import RESULT, at_most, serve

numbers = itertools.count()


@DBOS.step()
async def charge(order: str) -> str:
    """Take the money."""
    return RESULT


@DBOS.step()
async def pack(order: str, item: str) -> str:
    """Pack an item."""
    return f"{order}/{item}"


@DBOS.step()
async def mail(order: str, parcels: list[str]) -> str:
    """Tell the customer."""
    return RESULT


@DBOS.workflow()
async def parcel(order: str, item: str) -> str:
    """Pack an item as an instance of its own."""
    return await pack(order, item)


@DBOS.workflow()
async def fulfil(order: str, items: list[str]) -> list[str]:
    """Charge, wait for an approval, have each item packed by a child, write to the customer."""
    await charge(order)
    decision = await DBOS.recv_async("approval", timeout_seconds=3600)
    if not decision["approved"]:
        return []
    handles = [await DBOS.start_workflow_async(parcel, order, item) for item in items]
    parcels = [await handle.get_result() for handle in handles]
    await mail(order, parcels)
    return parcels


async def order() -> None:
    """Place an order, approve it, and wait for its end."""
    name = f"order-{time.time_ns()}-{next(numbers)}"
    with SetWorkflowID(name):
        handle = await DBOS.start_workflow_async(fulfil, name, ["desk", "lamp"])
    await DBOS.send_async(name, {"approved": True, "by": "Ann"}, "approval")
    assert await handle.get_result() == [f"{name}/desk", f"{name}/lamp"]


async def run(at_once: int, count: int) -> float:
    """Take so many orders, so many at once."""
    start = time.perf_counter()
    await at_most(at_once, count, order)
    return time.perf_counter() - start


if __name__ == "__main__":
    [database_url] = sys.argv[1:]
    DBOS(config={"name": "shop", "system_database_url": database_url, "log_level": "ERROR"})
    DBOS.launch()
    try:
        uvloop.run(serve(run))
    finally:
        DBOS.destroy()

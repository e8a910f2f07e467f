"""
A parent that starts another workflow, awaits it, and takes it along when it is cancelled.

`run_child` and the three steps that it is made of are to be copied. They speak to the core's
database, as a launcher does: only there can an instance be created for others to launch, and told
to cancel. Nobody tells a parent that its child has ended, so it looks, and sleeps in between.
"""

import asyncio
import json
import os
from dataclasses import asdict, dataclass

import httpx

from runtara_persistence import (
    InstanceNotFound,
    InstanceStatus,
    InvalidInstanceState,
    NewInstance,
    SendSignal,
    Signal,
    SignalType,
    SystemClock,
    connect,
)
from runtara_sdk import Retry, current, sleep, step, workflow

RETRY = Retry(attempts=5, on=httpx.HTTPError)
ENDED = {InstanceStatus.COMPLETED, InstanceStatus.FAILED, InstanceStatus.CANCELLED}


@dataclass
class Order:
    item: str
    delivery: str


@dataclass
class Ended:
    status: InstanceStatus
    output: bytes


@step
async def start(child: str, given: bytes) -> bool:
    """Create the instance, for a launcher to launch; an id that is taken is the child already."""
    new = NewInstance(child, os.environ["RUNTARA_TENANT_ID"], input=given)
    async with connect(os.environ["RUNTARA_DATABASE_URL"]) as core:
        return await core.instances.create(new, at=SystemClock().now())


@step
async def look(child: str) -> Ended | None:
    async with connect(os.environ["RUNTARA_DATABASE_URL"]) as core:
        found = await core.instances.get(child)
    if found is None:
        raise LookupError(f"{child} was deleted: nobody can tell how it ended")
    if found.status not in ENDED:
        return None
    return Ended(found.status, found.output or b"")


@step
async def cancel(child: str) -> bool:
    """Tell it to cancel; False: there is none to wait for."""
    async with connect(os.environ["RUNTARA_DATABASE_URL"]) as core:
        send = SendSignal(core.signals, SystemClock())
        try:
            await send(instance_id=child, signal=Signal(SignalType.CANCEL))
        except (InstanceNotFound, InvalidInstanceState):
            return False  # It was not started, or has ended by itself.
    return True


async def run_child(child: str, given: bytes, every: str) -> Ended:
    """
    Start an instance, once, and await its end; cancelled, see it cancelled first.

    A parent that sleeps holds no process: each look is a launch of its own.
    """
    try:
        # Within: struck while it starts the child, it may have started it all the same.
        await start(child, given)
        return await end_of(child, every)
    except asyncio.CancelledError:
        if await cancel(child):
            await end_of(child, every)
        raise


async def end_of(child: str, every: str) -> Ended:
    while (found := await look(child)) is None:
        await sleep(every)
    return found


@workflow(name="parent", hold="100ms")
async def parent(order: Order, every: str = "1m") -> str:
    # Its own id in the child's: no other parent starts the same one.
    child = f"{current().instance_id}/child"
    found = await run_child(child, json.dumps(asdict(order)).encode(), every)
    return f"{child}: {found.status} {found.output.decode()}"


@step(retry=RETRY)
async def place(item: str) -> int:
    headers = {"Idempotency-Key": current().idempotency_key}
    async with httpx.AsyncClient(base_url=os.environ["SERVICE_URL"]) as client:
        answer = await client.post("/orders", json={"item": item}, headers=headers)
    number: int = answer.raise_for_status().json()["number"]
    return number


@step(retry=RETRY)
async def call_off(item: str) -> None:
    async with httpx.AsyncClient(base_url=os.environ["SERVICE_URL"]) as client:
        answer = await client.delete(f"/orders/{item}")
    if answer.status_code != httpx.codes.NOT_FOUND:  # Never placed, or called off already.
        answer.raise_for_status()


@workflow(name="child", hold="100ms")
async def child(order: Order) -> int:
    try:
        # Within: struck while it places the order, it may have placed it all the same.
        number = await place(order.item)
        await sleep(order.delivery)
    except asyncio.CancelledError:
        await call_off(order.item)
        raise
    return number

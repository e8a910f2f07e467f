"""A parent that starts another workflow, awaits it, and takes it along when it is cancelled."""

import asyncio
import json
import os
from dataclasses import asdict, dataclass

import httpx

from runtara_persistence import (
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
    if found is None or found.status not in ENDED:
        return None
    return Ended(found.status, found.output or b"")


@step
async def cancel(child: str) -> None:
    async with connect(os.environ["RUNTARA_DATABASE_URL"]) as core:
        send = SendSignal(core.signals, SystemClock())
        try:
            await send(instance_id=child, signal=Signal(SignalType.CANCEL))
        except InvalidInstanceState:
            return  # It has ended by itself.


async def ended(child: str, every: str) -> Ended:
    while (found := await look(child)) is None:
        await sleep(every)
    return found


@workflow(name="parent", hold="100ms")
async def parent(order: Order, every: str = "1m") -> str:
    child = f"{current().instance_id}/child"
    await start(child, json.dumps(asdict(order)).encode())
    try:
        found = await ended(child, every)
    except asyncio.CancelledError:
        await cancel(child)
        await ended(child, every)
        raise
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
    if answer.status_code != httpx.codes.NOT_FOUND:  # It is called off already.
        answer.raise_for_status()


@workflow(name="child", hold="100ms")
async def child(order: Order) -> int:
    number = await place(order.item)
    try:
        await sleep(order.delivery)
    except asyncio.CancelledError:
        await call_off(order.item)
        raise
    return number

"""
A parent that starts another workflow, awaits it, and takes it along when it is cancelled.

`run_child` and the three steps that it is made of are to be copied. They speak to the core's
database, as a launcher does: only there can an instance be created for a launcher to launch, and
be cancelled. The parent gets no message when its child ends: it polls, less and less often.
"""

import asyncio
import json
import os
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta

import httpx

from runtara_persistence import (
    DatabaseError,
    Instance,
    InstanceStatus,
    InvalidInstanceState,
    NewInstance,
    Persistence,
    SendSignal,
    Signal,
    SignalType,
    SystemClock,
    connect,
)
from runtara_sdk import Retry, current, sleep, step, workflow

RETRY = Retry(attempts=5, on=httpx.HTTPError)
# As long as the database is away: a parent that gave up would leave its child alone.
CORE = Retry(attempts=2000, on=DatabaseError, cap="1m", budget="1d")
ENDED = {InstanceStatus.COMPLETED, InstanceStatus.FAILED, InstanceStatus.CANCELLED}
LONGEST = timedelta(minutes=10)


class ChildFailed(Exception):
    """A child has failed, or was cancelled from outside; the text says which one, how and why."""


@dataclass
class Order:
    item: str
    delivery: str


def opened() -> AbstractAsyncContextManager[Persistence]:
    return connect(os.environ["RUNTARA_DATABASE_URL"])


async def newest(core: Persistence, child: str) -> Instance | None:
    """The child, or the instance that it goes on as if it has restarted itself."""
    found = await core.instances.get(child)
    while found is not None and (found.output or b"").startswith(b'{"restarted_as"'):
        found = await core.instances.get(json.loads(found.output or b"")["restarted_as"])
    return found


@step(retry=CORE)
async def start(child: str, given: str) -> bool:
    """Create the instance, for a launcher to launch; an id that is taken is the child already."""
    new = NewInstance(child, os.environ["RUNTARA_TENANT_ID"], input=given.encode())
    async with opened() as core:
        return await core.instances.create(new, at=SystemClock().now())


@step(retry=CORE, raises=ChildFailed)
async def look(child: str) -> str | None:
    """What it gave, as JSON; None: it has not ended."""
    async with opened() as core:
        found = await newest(core, child)
    if found is None:
        raise ChildFailed(f"{child} was deleted: how it ended is lost")
    if found.status in (InstanceStatus.FAILED, InstanceStatus.CANCELLED):
        raise ChildFailed(f"{child} has {found.status}: {found.error}")
    return (found.output or b"").decode() if found.status is InstanceStatus.COMPLETED else None


@step(retry=CORE)
async def cancel(child: str) -> bool:
    """Tell it to cancel; False: there is none to wait for, or no more."""
    async with opened() as core:
        found = await newest(core, child)
        if found is None or found.status in ENDED:
            return False
        send = SendSignal(core.signals, SystemClock())
        with suppress(InvalidInstanceState):  # It has just ended, or goes on as another.
            await send(instance_id=found.instance_id, signal=Signal(SignalType.CANCEL))
    return True


async def run_child(child: str, given: str, pause: timedelta) -> str:
    """
    Start an instance, once, and give its output as JSON; raises ChildFailed.

    Whatever cancels this (the parent's cancel, a timeout, a group) cancels the child, and sees it
    ended first. A parent that sleeps holds no process: each look is a launch of its own.
    """
    first = pause
    try:
        # Inside `try`: a cancel may come while the child starts, and the child then exists.
        await start(child, given)
        while (output := await look(child)) is None:
            await sleep(pause)
            pause = min(2 * pause, LONGEST)
        return output
    except asyncio.CancelledError:
        while await cancel(child):
            await sleep(first)
            first = min(2 * first, LONGEST)
        raise


@workflow(name="parent", suspend_after="100ms")
async def parent(order: Order, pause: timedelta = timedelta(seconds=1)) -> str:
    # Its own id in the child's: no other parent starts the same one.
    child = f"{current().instance_id}/child"
    try:
        number = await run_child(child, json.dumps(asdict(order)), pause)
    except ChildFailed as why:
        return f"{order.item} was not ordered: {why}"
    return f"{order.item} was ordered, number {number}"


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


@workflow(name="child", suspend_after="100ms")
async def child(order: Order) -> int:
    try:
        # Inside `try`: a cancel may come while the order is placed, and the order then exists.
        number = await place(order.item)
        await sleep(order.delivery)
    except asyncio.CancelledError:
        await call_off(order.item)
        raise
    return number

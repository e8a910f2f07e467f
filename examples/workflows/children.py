"""A parent that starts another workflow, awaits it, and takes it along when it is cancelled."""

import asyncio
import os
from dataclasses import dataclass

import httpx

from runtara_sdk import Retry, child, current, sleep, step, workflow

RETRY = Retry(attempts=5, on=httpx.HTTPError)


class SoldOut(Exception):
    """An answer, not an outage: a parent gets it as it was raised."""


@dataclass
class Order:
    item: str
    takes: str


def service() -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=os.environ["SERVICE_URL"])


@step(retry=RETRY, raises=SoldOut)
async def place(item: str) -> int:
    headers = {"Idempotency-Key": current().idempotency_key}
    async with service() as client:
        answer = await client.post("/orders", json={"item": item}, headers=headers)
    if answer.status_code == httpx.codes.CONFLICT:
        raise SoldOut(f"there is no {item} left")
    number: int = answer.raise_for_status().json()["number"]
    return number


@step(retry=RETRY)
async def call_off(item: str) -> None:
    async with service() as client:
        answer = await client.delete(f"/orders/{item}")
    if answer.status_code != httpx.codes.NOT_FOUND:  # Never placed, or called off already.
        answer.raise_for_status()


@workflow(name="deliver", suspend_after="100ms", raises=SoldOut)
async def deliver(order: Order) -> int:
    try:
        # Inside `try`: a cancel may come while the order is placed, and the order then exists.
        number = await place(order.item)
        await sleep(order.takes)
    except asyncio.CancelledError:
        await call_off(order.item)
        raise
    return number


@workflow(name="furnish", suspend_after="100ms")
async def furnish(order: Order) -> str:
    # Its own id in the child's: no other parent starts the same one. While it waits there need be
    # no process; a cancel, a timeout or a group that ends the wait cancels the child.
    try:
        number = await child(deliver.bind(order), id=f"{current().instance_id}/delivery")
    except SoldOut as why:
        return f"{order.item} was not ordered: {why}"
    return f"{order.item} was delivered, number {number}"

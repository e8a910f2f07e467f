"""A trip of three bookings: all of them, or none."""

import asyncio
import os
from dataclasses import dataclass

import httpx

from runtara_sdk import Retry, StepFailed, current, step, workflow

RETRY = Retry(attempts=5, on=httpx.HTTPError)


class SoldOut(Exception):
    """An answer, not an outage: it is never tried again."""


@dataclass
class Trip:
    name: str
    items: list[str]


def service() -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=os.environ["SERVICE_URL"])


@step(retry=RETRY, raises=SoldOut)
async def book(trip: str, item: str) -> int:
    headers = {"Idempotency-Key": current().idempotency_key}
    async with service() as client:
        answer = await client.post("/bookings", json={"trip": trip, "item": item}, headers=headers)
    if answer.status_code == httpx.codes.CONFLICT:
        raise SoldOut(f"there is no {item} left for {trip}")
    number: int = answer.raise_for_status().json()["number"]
    return number


@step(retry=RETRY)
async def cancel(item: str) -> None:
    async with service() as client:
        answer = await client.delete(f"/bookings/{item}")
    if answer.status_code != httpx.codes.NOT_FOUND:  # It was never booked, or is cancelled already.
        answer.raise_for_status()


@workflow(name="saga")
async def saga(trip: Trip) -> list[int]:
    begun: list[str] = []
    numbers: list[int] = []
    try:
        for item in trip.items:
            # Before it is booked: one that failed may have happened nonetheless.
            begun.append(item)
            numbers.append(await book(trip.name, item))
    except (SoldOut, StepFailed, asyncio.CancelledError):
        for item in reversed(begun):
            await cancel(item)
        raise
    return numbers

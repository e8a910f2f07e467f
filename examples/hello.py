"""A workflow of steps and a durable sleep: kill it anywhere and run it again."""

import asyncio

from runtara_sdk import Retry, sleep, step, workflow


@step
async def fetch(order: str) -> list[str]:
    await asyncio.sleep(1)  # the real work
    return [f"{order}/{number}" for number in range(3)]


@step(retry=Retry(attempts=5, on=OSError, wait="1s"))
async def charge(item: str) -> str:
    print("charging", item)
    await asyncio.sleep(1)
    return f"receipt for {item}"


@workflow(name="hello")
async def hello(order: str) -> list[str]:
    items = await fetch(order)
    receipts = [await charge(item) for item in items]
    await sleep("3s")  # the deadline is kept through any crash
    return receipts

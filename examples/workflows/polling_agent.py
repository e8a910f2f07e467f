"""An agent that answers what comes in, sleeps in between, and never grows old."""

import os

import httpx

from runtara_sdk import Retry, continue_as_new, current, sleep, step, workflow

RETRY = Retry(attempts=10, on=httpx.HTTPError, cap="10s")
ROUNDS = 3


def service() -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=os.environ["SERVICE_URL"], timeout=10)


@step(retry=RETRY)
async def look(number: int) -> str | None:
    """The message of a number; None: there is none yet."""
    async with service() as client:
        answer = await client.get(f"/inbox/{number}")
    text: str | None = answer.raise_for_status().json()["text"]
    return text


@step(retry=RETRY)
async def reply(number: int, text: str) -> None:
    headers = {"Idempotency-Key": current().idempotency_key}
    async with service() as client:
        body = {"to": number, "text": text}
        (await client.post("/replies", json=body, headers=headers)).raise_for_status()


@workflow(name="polling-agent", suspend_after="100ms")
async def agent(number: int = 0, every: str = "10m") -> int:
    """Answer messages from `number` on until one is "stop"; gives how many there were."""
    for _ in range(ROUNDS):
        message = await look(number)
        if message == "stop":
            return number
        if message is None:
            # Longer than it is worth holding a process for: it ends, and another one goes on.
            await sleep(every)
        else:
            await reply(number, message.upper())
            number += 1
    # "agent" goes on as "agent~2", with nothing to replay but this input.
    await continue_as_new(number, every)
    raise AssertionError("a restart never returns")

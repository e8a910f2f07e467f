"""A model that picks tools until it has an answer; one of the tools can't be taken back."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import httpx

from runtara_sdk import NotDone, Retry, current, step, workflow

RETRY = Retry(attempts=5, on=httpx.HTTPError)
LONGEST = 20


@dataclass
class Move:
    """What the model wants next; the tool "answer" is the end."""

    tool: str
    argument: str


@dataclass
class Turn:
    move: Move
    outcome: str


def service() -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=os.environ["SERVICE_URL"], timeout=30)


@step(retry=RETRY)
async def next_move(turns: list[Turn]) -> Move:
    # A step: asked again, a model would say something else.
    async with service() as client:
        answer = await client.post("/model", json=[asdict(turn) for turn in turns])
    return Move(**answer.raise_for_status().json())


@step(retry=RETRY)
async def search(query: str) -> str:
    async with service() as client:
        headers = {"Idempotency-Key": current().idempotency_key}
        answer = await client.post("/searches", json={"query": query}, headers=headers)
    return f"{answer.raise_for_status().json()['number']} found"


@step(effect="external")
async def send_email(to: str) -> str:
    """Sends two mails when asked twice: so it is never called again blindly."""
    async with service() as client:
        headers = {"Idempotency-Key": current().idempotency_key}
        answer = await client.post("/emails", json={"to": to}, headers=headers)
    answer.raise_for_status()
    return f"told {to}"


@send_email.in_doubt
async def find_email(to: str) -> str | NotDone:
    """Asked when a crash came between the intent and the result."""
    async with service() as client:
        answer = await client.get(f"/emails/{current().idempotency_key}")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return NotDone()
    answer.raise_for_status()
    return f"told {to}"


TOOLS: dict[str, Callable[[str], Awaitable[str]]] = {"search": search, "send_email": send_email}


@workflow(name="tool-loop")
async def tool_loop(task: str) -> str:
    turns = [Turn(Move("task", task), "")]
    while len(turns) <= LONGEST:
        move = await next_move(turns)
        if move.tool == "answer":
            return move.argument
        turns.append(Turn(move, await TOOLS[move.tool](move.argument)))
    raise RuntimeError(f"no answer after {LONGEST} turns")

"""An invoice that is paid once a person has approved it, and not at all after a deadline."""

import os
from dataclasses import dataclass

import httpx

from runtara_sdk import Retry, current, promise, step, timeout, workflow


@dataclass
class Invoice:
    number: str
    amount: int
    deadline: str = "7d"


@dataclass
class Decision:
    approved: bool
    by: str


async def post(path: str, body: dict[str, object]) -> int:
    # The key is the same for every attempt, before and after a crash: the service acts once.
    headers = {"Idempotency-Key": current().idempotency_key}
    async with httpx.AsyncClient(base_url=os.environ["SERVICE_URL"]) as client:
        answer = await client.post(path, json=body, headers=headers)
    number: int = answer.raise_for_status().json()["number"]
    return number


@step(retry=Retry(attempts=5, on=httpx.HTTPError), timeout="30s")
async def ask_for_approval(invoice: Invoice) -> int:
    return await post("/requests", {"invoice": invoice.number})


@step(retry=Retry(attempts=5, on=httpx.HTTPError), timeout="30s")
async def pay(invoice: Invoice, approved_by: str) -> int:
    return await post("/payments", {"invoice": invoice.number, "approved_by": approved_by})


@workflow(name="approval", suspend_after="1s")
async def approval(invoice: Invoice) -> str:
    await ask_for_approval(invoice)
    try:
        # Counted from the first time it comes here; while it waits there need be no process.
        async with timeout(invoice.deadline):
            decision = await promise("decision", Decision)
    except TimeoutError:
        return f"{invoice.number}: no decision came in time"
    if not decision.approved:
        return f"{invoice.number}: refused by {decision.by}"
    receipt = await pay(invoice, decision.by)
    return f"{invoice.number}: paid, receipt {receipt}"

"""All that a user writes with `runtara`, in one file: type checkers read it, and a test runs it."""

import asyncio
from dataclasses import dataclass
from typing import assert_type

from runtara import (
    Client,
    Forked,
    Handle,
    Instance,
    Promise,
    Queue,
    Tick,
    Worker,
    WorkflowCancelled,
    child,
    connect,
    report,
    serve,
    sleep,
    start_child,
    step,
    workflow,
)


@dataclass(frozen=True)
class Order:
    id: str
    cents: int


@dataclass(frozen=True)
class Decision:
    approved: bool
    by: str


@dataclass(frozen=True)
class Receipt:
    order: str
    parcels: list[str]
    approved_by: str
    gift: bool


class Declined(Exception):
    """Its argument names the person that has declined."""


APPROVAL = Promise("approval", Decision)  # typed at both ends
ANSWER: Promise[int | str] = Promise("answer", int | str)
MAIL = Queue("mail", concurrency=5, rate="100/1m")


@step
async def charge(order: Order) -> int:
    return order.cents


@workflow
async def ship(order: Order, what: str = "parcel") -> str:
    await sleep("1ms")
    return f"{what} of {order.id}"


@workflow(raises=Declined)
async def fulfil(order: Order, *, gift: bool = False) -> Receipt:
    assert_type(await charge(order), int)
    report("waiting for approval")
    decision = await APPROVAL.get()
    assert_type(decision, Decision)
    if not decision.approved:
        raise Declined(decision.by)
    note = await start_child(ship.bind(order, what="note"), id=f"note-{order.id}")
    parcel = await child(ship.bind(order), id=f"ship-{order.id}")
    assert_type(parcel, str)
    return Receipt(order.id, [parcel, await note.result()], decision.by, gift)


@workflow
async def ask(order: Order) -> int | str:
    answer = await ANSWER.keyed(order.id).get(timeout="1d")
    assert_type(answer, int | str)
    return answer


@workflow(cron="0 3 * * *", tz="Europe/Berlin")
async def nightly(tick: Tick) -> str:
    return f"report of {tick.at:%Y-%m-%d}"


async def waiting(handle: Handle[Receipt]) -> Instance:
    """Give an order's status once it waits for its approval."""
    while True:
        info = await handle.status()
        if info.waiting_for:
            return info
        await asyncio.sleep(0.01)


async def use(client: Client) -> list[object]:
    """Do with orders all that can be done; gives what came of each."""
    handle = await client.start(
        fulfil, Order("17", 995), id="order-17", queue=MAIL, priority=1, delay="10ms"
    )
    assert_type(handle, Handle[Receipt])
    again = await client.start(
        fulfil, Order("17", 995), id="order-17", queue=MAIL, priority=1, delay="10ms"
    )
    info = await waiting(handle)
    await handle.send(APPROVAL, Decision(True, "Ann"))
    receipt = await handle.result(timeout="60s")
    assert_type(receipt, Receipt)
    found: list[object] = [again.created, info.progress, receipt]

    gift = await client.start(fulfil.bind(Order("18", 1), gift=True), id="order-18")
    await waiting(gift)
    await gift.pause()
    await gift.resume()
    await gift.send(APPROVAL, Decision(False, "Bob"))
    try:
        await gift.result(timeout="60s")
    except Declined as declined:
        found.append(declined.args)
    failed = client.list(fulfil, status="failed", since="1d")
    found.extend([one.instance_id async for one in failed])

    forked = await gift.fork(before="charge#1", id="order-18-again")
    assert_type(forked, Forked[Receipt])
    try:
        await forked.handle.result(timeout="60s")
    except Declined as declined:
        # What was sent is copied, too.
        found.append((declined.args, forked.repeated[0]))

    cancelled = await client.start(fulfil, Order("19", 1))
    await waiting(cancelled)
    await cancelled.cancel()
    try:
        await cancelled.result(timeout="60s")
    except WorkflowCancelled as error:
        found.append(type(error))
    await cancelled.retry()
    await cancelled.send(APPROVAL, Decision(True, "Ann"))
    found.append((await cancelled.result(timeout="60s")).approved_by)

    asked = await client.start(ask, Order("20", 1))
    await asked.send(ANSWER.keyed("20"), 42)
    found.append(await asked.result(timeout="60s"))
    return found


async def main(where: str) -> list[object]:
    """Be a client and a worker at once."""
    async with connect(where) as client, Worker(fulfil, ship, ask, nightly, where=where):
        return await use(client)


if __name__ == "__main__":
    asyncio.run(serve(fulfil, ship, ask, nightly, concurrency=50))

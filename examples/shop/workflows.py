"""The shop's workflows: an order, its undoing, and the report of each night."""

import asyncio

from steps import (
    BERLIN,
    CardRefused,
    Decision,
    Declined,
    Order,
    Receipt,
    Report,
    SoldOut,
    charge,
    pack,
    refund,
    takings,
    unpack,
)

from runtara import Promise, Tick, child, report, workflow

LARGE = 100_00
"""Cents from which on an order needs an approval."""
APPROVAL = Promise("approval", Decision)


@workflow(raises=(CardRefused, Declined, SoldOut))
async def fulfil(order: Order) -> Receipt:
    """
    Charge, have a large order approved, pack; undo it all if that fails or is cancelled.

    A step under way is let end first. A cancel that comes with the last item is too late.
    """
    try:
        payment = await charge(order)
        if order.cents >= LARGE:
            report("waiting for approval")
            decision = await APPROVAL.get(timeout="7d")
            if not decision.approved:
                raise Declined(decision.by)
        report("packing")
        return Receipt(payment, [await pack(order.id, item) for item in order.items])
    except (Exception, asyncio.CancelledError):
        await child(undo.bind(order.id), id=f"undo-{order.id}")
        raise


@workflow
async def undo(order_id: str) -> None:
    """Put the packed items of an order back, and give its money back, even if the former fails."""
    try:
        await unpack(order_id)
    finally:
        await refund(order_id)


@workflow(cron="0 3 * * *", tz=BERLIN)
async def nightly(tick: Tick) -> Report:
    """Report the takings of the day before, every night."""
    return await takings(tick.at)

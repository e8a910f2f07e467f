"""The shop's workflows: an order, its parcels, and the report of each night."""

import asyncio

from steps import (
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
"""Cents from which on somebody is to approve an order."""
APPROVAL = Promise("approval", Decision)


@workflow(raises=(CardRefused, Declined, SoldOut))
async def fulfil(order: Order) -> Receipt:
    """Charge, have a large order approved, pack; undo it all if that fails or is cancelled."""
    payment = await charge(order)
    parcels: list[str] = []
    try:
        if order.cents >= LARGE:
            report("waiting for approval")
            decision = await APPROVAL.get(timeout="7d")
            if not decision.approved:
                raise Declined(decision.by)
        report("packing")
        ended = await asyncio.gather(
            *(
                child(parcel.bind(order.id, item), id=f"{order.id}-parcel-{number}")
                for number, item in enumerate(order.items)
            ),
            return_exceptions=True,
        )
        parcels += [one for one in ended if isinstance(one, str)]
        for one in ended:
            if isinstance(one, BaseException):
                raise one
    except (Exception, asyncio.CancelledError):
        for packed in parcels:
            await unpack(packed)
        await refund(order)
        raise
    return Receipt(payment, parcels)


@workflow(raises=SoldOut)
async def parcel(order_id: str, item: str) -> str:
    """Pack one item."""
    return await pack(order_id, item)


@workflow(cron="0 3 * * *", tz="Europe/Berlin")
async def nightly(tick: Tick) -> Report:
    """Report a day's takings, every night."""
    return await takings(tick.at)

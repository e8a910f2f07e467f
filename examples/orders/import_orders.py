"""
Import a file of orders: charge each exactly once, though this process may be killed at any moment.

    RUNTARA_INSTANCE_ID=orders-2025 RUNTARA_TENANT_ID=demo RUNTARA_SERVER_ADDR=127.0.0.1:8001 \\
        python import_orders.py ORDERS.csv LEDGER.csv http://127.0.0.1:PORT

Killed, it is simply run again: orders that have a checkpoint are replayed, the rest are charged.
"""

import asyncio
import json
import sys
from pathlib import Path

import httpx
from ledger import write_ledger
from orders_csv import Order, UnusableFile, read_orders

from runtara_sdk import Client

ATTEMPTS, TIMEOUT_S = 8, 0.3


async def import_orders(orders_path: Path, ledger_path: Path, payments_url: str) -> None:
    """Charge each order of the file, write the ledger, and complete the instance."""
    async with (
        Client() as client,
        httpx.AsyncClient(base_url=payments_url, timeout=TIMEOUT_S) as payments,
    ):
        await client.register()
        try:
            file = read_orders(orders_path)
        except UnusableFile as error:
            await client.failed(str(error))
            raise
        receipts = {order.id: await settle(client, payments, order) for order in file.orders}
        # A life that gets here again writes the same: all comes from the file and the receipts.
        write_ledger(ledger_path, file, receipts)
        summary = {"charged": len(file.orders), "rejected": len(file.rejected)}
        await client.completed(json.dumps(summary).encode())


async def settle(client: Client, payments: httpx.AsyncClient, order: Order) -> bytes:
    """Return the order's receipt: the one an earlier life kept, or that of a charge made now."""
    checkpoint_id = f"charge/{order.id}"
    receipt = await client.get_checkpoint(checkpoint_id)
    if receipt is not None:
        print(f"replayed {order.id}", flush=True)
        return receipt
    receipt = await charge(payments, order)
    # The trap: killed *here*, charged and not yet saved, the next life will ask for this charge
    # again. No checkpoint can close that gap. The idempotency key does: the payment service
    # knows it, takes no money, and answers with the receipt of the first time.
    await client.checkpoint(checkpoint_id, receipt)
    print(f"charged {order.id}", flush=True)
    return receipt


async def charge(payments: httpx.AsyncClient, order: Order) -> bytes:
    """Charge the order and return the receipt; try again if the failure may pass."""
    body = {
        "order_id": order.id,
        "amount": order.amount,
        "currency": order.currency,
        "description": order.note,
    }
    # From the order, not from this process, its life or the time: a key made up anew each time
    # would protect nothing.
    key = {"Idempotency-Key": f"order/{order.id}"}
    for attempt in range(1, ATTEMPTS + 1):
        try:
            response = await payments.post("/charges", json=body, headers=key)
        except httpx.TransportError as error:  # no answer: it may have charged or not
            trouble = repr(error)
        else:
            if response.status_code < 500:
                return response.raise_for_status().content
            trouble = str(response.status_code)
        print(f"retrying {order.id} after attempt {attempt}: {trouble}", flush=True)
        await asyncio.sleep(0.01 * 2**attempt)
    # This ends the process, not the import: run again, it goes on with this order.
    raise ConnectionError(f"no charge for {order.id} in {ATTEMPTS} attempts: {trouble}")


if __name__ == "__main__":
    asyncio.run(import_orders(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))

"""A workflow of three steps: kill it between two of them and run it again."""

import asyncio

from runtara_sdk import Client


async def step(client: Client, name: str, work: str) -> str:
    if (kept := await client.get_checkpoint(name)) is not None:
        return f"{name}: {kept.decode()} (done before)"
    await asyncio.sleep(2)  # the real work
    saved = await client.checkpoint(name, work.encode())  # durable when this returns
    return f"{name}: {saved.state.decode()}"


async def main() -> None:
    async with Client() as client:  # RUNTARA_* say who and where
        await client.register()
        for name, work in {"fetch": "42 orders", "charge": "42 receipts", "mail": "sent"}.items():
            print(await step(client, name, work))
        await client.completed(b"all done")


asyncio.run(main())

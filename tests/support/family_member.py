"""A process of one member of a family: `python -m tests.support.family_member CHILDREN`."""

import asyncio
import sys

from runtara_sdk import Client

STEPS = 5


async def be_parent(client: Client, children: int) -> None:
    """Start children, wait for all their endings, and save each as it comes."""
    ids = [f"child-{number}" for number in range(children)]
    for child_id in ids:
        await client.start_child(child_id, "w", child_id.encode())
    left = [f"~child/{child_id}" for child_id in ids]
    while left:
        pending = await client.poll_signals(also=left, wait=30)
        for name, payload in pending.custom_signals.items():
            await client.checkpoint(f"heard {name}", payload)
            left.remove(name)
    await client.completed(b"heard all")


async def be_child(client: Client, given: bytes) -> None:
    """Take a few steps, and end with what the child was given."""
    for number in range(STEPS):
        await client.checkpoint(f"step {number}", b"")
        await asyncio.sleep(0.05)
    if given.endswith((b"0", b"4", b"8")):
        await client.failed(given.decode())
    else:
        await client.completed(given)


async def main(children: int) -> None:
    async with Client() as client:
        registration = await client.register()
        if registration.input is None:
            await be_parent(client, children)
        else:
            await be_child(client, registration.input)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

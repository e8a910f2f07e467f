"""
Programs that share a SQLite file with a test, each in a process of its own.

`race PATH`: opens the database, says `ready`, waits for a line, saves a checkpoint, and says
`fresh` or the state it found. `acknowledge PATH`: saves from eight callers until killed, and says
the id of each checkpoint once its save has returned.
"""

import asyncio
import os
import sys
from itertools import count

from tests.support.clock import START

from runtara_domain.model import Caller, CheckpointWrite, Registration
from runtara_domain.status import OPEN, WORKING
from runtara_persistence.sqlite.persistence import SqlitePersistence


async def race(path: str) -> None:
    async with SqlitePersistence(path, lock_timeout=30) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        write = CheckpointWrite("c", str(os.getpid()).encode())
        saved = await persistence.checkpoints.save(Caller("i"), write, when=WORKING, at=START)
        sys.stdout.write("fresh\n" if saved.kept is None else f"{saved.kept.decode()}\n")


async def acknowledge(path: str) -> None:
    async with SqlitePersistence(path) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)

        async def save(lane: int) -> None:
            for number in count():
                write = CheckpointWrite(f"{lane}-{number}", b"state")
                await persistence.checkpoints.save(Caller("i", 1), write, when=WORKING, at=START)
                # Unbuffered and in one piece: what is read from the pipe was said whole.
                os.write(1, f"{write.checkpoint_id}\n".encode())

        await asyncio.gather(*(save(lane) for lane in range(8)))


if __name__ == "__main__":
    _, program, path = sys.argv
    asyncio.run({"race": race, "acknowledge": acknowledge}[program](path))

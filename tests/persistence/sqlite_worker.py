"""
Programs that share a SQLite file with a test, each in a process of its own.

`race PATH`: opens the database, says `ready`, waits for a line, saves a checkpoint, and says
`fresh` or the state it found. `acknowledge PATH`: saves from eight callers until killed, and says
the id of each checkpoint once its save has returned. `acknowledge-line-by-line PATH`: for each line
it hears its eight callers save one checkpoint each. `forbidden PATH`: saves a checkpoint where the
kernel forbids the write, and says the error.
"""

import asyncio
import os
import sys
from itertools import count

from tests.support.clock import START
from tests.support.forbidden import forbid_writing_at_an_offset

from runtara_domain.error import DatabaseError
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

        async def save_on(lane: int) -> None:
            for number in count():
                await save(persistence, f"{lane}-{number}")

        await asyncio.gather(*(save_on(lane) for lane in range(8)))


async def acknowledge_line_by_line(path: str) -> None:
    async with SqlitePersistence(path) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            await asyncio.gather(*(save(persistence, f"{lane}-{line}") for lane in range(8)))


async def forbidden(path: str) -> None:
    async with SqlitePersistence(path) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        forbid_writing_at_an_offset()
        try:
            await save(persistence, "c")
        except DatabaseError as error:
            os.write(1, f"{error}\n".encode())


async def save(persistence: SqlitePersistence, checkpoint_id: str) -> None:
    write = CheckpointWrite(checkpoint_id, b"state")
    await persistence.checkpoints.save(Caller("i", 1), write, when=WORKING, at=START)
    # Unbuffered and in one piece: what is read from the pipe was said whole.
    os.write(1, f"{checkpoint_id}\n".encode())


PROGRAMS = {
    "race": race,
    "acknowledge": acknowledge,
    "acknowledge-line-by-line": acknowledge_line_by_line,
    "forbidden": forbidden,
}


if __name__ == "__main__":
    _, program, path = sys.argv
    asyncio.run(PROGRAMS[program](path))

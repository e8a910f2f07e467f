"""SQLite files with today's schema, without migrating each anew."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from runtara_persistence.sqlite.persistence import SqlitePersistence


def migrated_file(path: Path) -> Path:
    """Write an empty database with today's schema, as an adapter leaves it, and give its path."""
    path.write_bytes(_template())
    return path


@cache
def _template() -> bytes:
    # A thread of its own: the caller's may run an event loop.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(_opened_once())).result()


async def _opened_once() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        async with SqlitePersistence(str(path)):
            pass
        return path.read_bytes()

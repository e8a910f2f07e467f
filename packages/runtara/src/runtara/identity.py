"""Workers' identities: on a SQLite file, a restarted worker gets the id of one that died."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from runtara_migrations import location

try:
    import fcntl
except ImportError:  # Windows has other locks: there each worker has a new id.
    fcntl = None  # type: ignore[assignment]

_MOST = 1000


def machine() -> str:
    """Name this machine and process, for people."""
    return f"{socket.gethostname()}/{os.getpid()}"


@contextmanager
def worker_id(database_url: str | None) -> Iterator[str]:
    """
    Hold a worker's id for the time of the block.

    On a SQLite file it is the first of the file's ids that no living process holds. The launches of
    a killed worker are therefore taken over at once, and not only when its lease is over.
    """
    place = None if database_url is None else location.parse(database_url)
    is_file = isinstance(place, location.SqliteLocation) and place.path != location.MEMORY
    if fcntl is None or not is_file or not isinstance(place, location.SqliteLocation):
        yield f"worker-{uuid4().hex}"
        return
    descriptor, found = _locked(Path(place.path))
    try:
        yield found
    finally:
        os.close(descriptor)


def _locked(database: Path) -> tuple[int, str]:
    for number in range(1, _MOST):
        path = database.with_name(f"{database.name}-worker-{number}")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        found = os.read(descriptor, 100).decode()
        if not found:
            found = f"worker-{uuid4().hex}"
            os.write(descriptor, found.encode())
        return descriptor, found
    raise RuntimeError(f"{_MOST} workers use {database} already")

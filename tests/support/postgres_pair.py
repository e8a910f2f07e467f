"""A PostgreSQL that commits what its standby has, too."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.postgres import PostgresServer


@dataclass(frozen=True, slots=True)
class Pair:
    """A primary, and the standby that follows it."""

    primary: PostgresServer
    standby: PostgresServer

    @property
    def url(self) -> str:
        """Name both; the adapter finds the one that can write."""
        return f"postgresql://postgres@/postgres?host={self.primary.folder},{self.standby.folder}"


@contextmanager
def primary_and_standby() -> Iterator[Pair]:
    """Run both; either may be killed."""
    # What is killed leaves no shared memory behind when that is a file in its folder.
    settings = ("synchronous_standby_names=walreceiver", "dynamic_shared_memory_type=mmap")
    primary = PostgresServer(*settings)
    try:
        primary.start()
        standby = PostgresServer(primary=primary)
        try:
            standby.start()
            yield Pair(primary, standby)
        finally:
            standby.remove()
    finally:
        primary.remove()

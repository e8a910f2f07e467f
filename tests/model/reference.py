"""The reference of the state machines: the in-memory adapter, which the contract suite holds."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import fields

from tests.contract.database import TABLES, Row

from runtara_domain.model import RunState
from runtara_persistence.memory import MemoryPersistence


class Reference:
    """
    An in-memory persistence, open, and a way to look into it.

    A deep copy of it goes on by itself.
    """

    def __init__(self) -> None:
        self.persistence = MemoryPersistence()
        self.persistence.store.is_open = True

    @property
    def run_states(self) -> dict[str, RunState]:
        """State and run of every instance."""
        rows = self.persistence.store.instances
        return {name: row.run_state for name, row in rows.items()}

    def tables(self) -> dict[str, list[Row]]:
        """All rows, by the tables' names."""
        return {table: self._rows(table) for table in TABLES}

    @contextmanager
    def showing(self, instance_ids: Collection[str]) -> Iterator[None]:
        """Let steps within the block find no instances but these."""
        store = self.persistence.store
        every = store.instances
        store.instances = {name: row for name, row in every.items() if name in instance_ids}
        try:
            yield
        finally:
            store.instances = every

    def _rows(self, table: str) -> list[Row]:
        held = getattr(self.persistence.store, table)
        rows = held.values() if isinstance(held, dict) else held
        # In the order in which they were stored: a checkpoint that gets another name moves.
        rows = sorted(rows, key=lambda row: getattr(row, "id", 0))
        return [{each.name: getattr(row, each.name) for each in fields(row)} for row in rows]

"""The in-memory adapter: for tests, and for trials without lasting data."""

from runtara_persistence.memory.persistence import MemoryPersistence

__all__ = ["MemoryPersistence"]

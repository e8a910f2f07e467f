"""The in-memory adapter: for tests, and for trials that may forget."""

from runtara_persistence.memory.persistence import MemoryPersistence

__all__ = ["MemoryPersistence"]

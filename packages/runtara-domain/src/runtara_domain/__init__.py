"""The rules of the Runtara core: states, records, ports and use cases; no I/O, no dependencies."""

"""The core's use cases, one class for each operation."""

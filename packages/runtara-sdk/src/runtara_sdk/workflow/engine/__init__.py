"""The engine: runs one instance durably. It knows the core only by its store's protocol."""

"""The core in the user's own process, on the database itself."""

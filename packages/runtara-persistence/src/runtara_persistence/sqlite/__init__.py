"""The ports on SQLite; start at persistence.py."""

"""The ports on PostgreSQL; start at persistence.py."""

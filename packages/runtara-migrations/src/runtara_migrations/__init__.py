"""Bring a database's schema up to date; start at migrate.py."""

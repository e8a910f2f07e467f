"""Steps of the ports that are written once for SQLite and PostgreSQL."""

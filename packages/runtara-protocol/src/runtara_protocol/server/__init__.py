"""The common parts of servers: reading requests from streams, handlers, settings and logs."""

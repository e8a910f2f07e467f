"""The Runtara core as a server; `runtara_server.runtime` is its face for embedders."""

"""
The core's interfaces to databases, transports, placements and time. Adapters must keep what the
docstrings promise; contract tests check it.
"""

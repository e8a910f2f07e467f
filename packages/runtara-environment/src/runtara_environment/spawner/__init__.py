"""The process that owns the launched processes of one environment, and outlives it."""

"""The spawner: the process that owns an environment's launched processes, and outlives it."""

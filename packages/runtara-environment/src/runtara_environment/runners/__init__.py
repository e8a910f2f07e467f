"""How images become processes: one module a runner."""

"""Where processes run: one module a placement."""

"""Placements: where processes run. Each placement has its own module or package."""

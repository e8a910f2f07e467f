"""
What the core needs of the world, in its own words; each docstring is a promise adapters are held
to.
"""

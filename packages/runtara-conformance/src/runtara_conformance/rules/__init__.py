"""Every rule, a file a noun; importing a file registers its rules."""

from importlib import import_module
from pkgutil import iter_modules

from runtara_conformance.rule import RULES

for found in iter_modules(__path__):
    import_module(f"{__name__}.{found.name}")

__all__ = ["RULES"]

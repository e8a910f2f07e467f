"""Writes values as text and reads them: arguments, results, failures; and describes functions."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtara_sdk.workflow.values import codec, failures

__all__ = ["codec", "failures"]


def __getattr__(name: str) -> Any:
    """Import the module that writes values at its first use, because it imports pydantic."""
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

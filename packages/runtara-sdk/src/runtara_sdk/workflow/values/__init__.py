"""Values as text and back: arguments, results, failures and the functions that give them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtara_sdk.workflow.values import codec, failures

__all__ = ["codec", "failures"]


def __getattr__(name: str) -> Any:
    """Import what writes values when it is first used, and no earlier: it imports pydantic."""
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

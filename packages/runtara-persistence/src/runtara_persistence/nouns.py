"""The nouns of an adapter on a database, each of which is imported and made at first use."""

from importlib import import_module
from typing import Any, Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)

SHARED = "runtara_persistence.transactions"
"""The package of nouns that are the same for both databases."""


class Noun(Generic[T_co]):
    """
    A noun as an attribute of its adapter, made by the class `kind` of the module of its name.

    package: of this module; None: the adapter's own. It is made at first use: a command that lists
    instances needs only one of the modules.
    """

    def __init__(self, kind: str, package: str | None = None) -> None:
        self._kind, self._package = kind, package

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        self._module = f"{self._package or owner.__module__.rpartition('.')[0]}.{name}"

    # `Any`: an adapter, whose nouns take its database.
    def __get__(self, adapter: Any, owner: type) -> T_co:
        noun: T_co = getattr(import_module(self._module), self._kind)(adapter._database)
        # Found there from now on, without this method.
        vars(adapter)[self._name] = noun
        return noun

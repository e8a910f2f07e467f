"""Methods of nouns that are steps: each gets the connection it is carried out on."""

import sqlite3
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from runtara_persistence.sqlite.database import Database
from runtara_persistence.sqlite.watch import Watch

P = ParamSpec("P")
T = TypeVar("T")


class OnDatabase(Protocol):
    """What has methods that are steps."""

    _database: Database


class Telling(OnDatabase, Protocol):
    """What has methods that are steps of which a watch is told."""

    _watch: Watch


Noun = TypeVar("Noun", bound=OnDatabase)
TellingNoun = TypeVar("TellingNoun", bound=Telling)
Method: TypeAlias = Callable[Concatenate[Noun, sqlite3.Connection, P], T]
TellingMethod: TypeAlias = Callable[Concatenate[TellingNoun, sqlite3.Connection, list[str], P], T]
AsyncMethod: TypeAlias = Callable[Concatenate[Noun, P], Coroutine[Any, Any, T]]


def read(attempt: str) -> Callable[[Method[Noun, P, T]], AsyncMethod[Noun, P, T]]:
    """Make a method of what a step does with the connection that reads."""

    def decorate(method: Method[Noun, P, T]) -> AsyncMethod[Noun, P, T]:
        @wraps(method)
        async def reading(self: Noun, /, *args: P.args, **options: P.kwargs) -> T:
            return await self._database.read(
                attempt, lambda connection: method(self, connection, *args, **options)
            )

        return reading

    return decorate


def write(attempt: str) -> Callable[[Method[Noun, P, T]], AsyncMethod[Noun, P, T]]:
    """Make a method of what a step does in a transaction; what it did is durable on return."""

    def decorate(method: Method[Noun, P, T]) -> AsyncMethod[Noun, P, T]:
        @wraps(method)
        async def writing(self: Noun, /, *args: P.args, **options: P.kwargs) -> T:
            return await self._database.write(
                attempt, lambda connection: method(self, connection, *args, **options)
            )

        return writing

    return decorate


def write_and_tell(
    attempt: str,
) -> Callable[[TellingMethod[TellingNoun, P, T]], AsyncMethod[TellingNoun, P, T]]:
    """
    Do as `write`, and tell the watch of the instances whose ids the step puts into its list.

    It is told once the step is durable, even if the caller was cancelled.
    """

    def decorate(method: TellingMethod[TellingNoun, P, T]) -> AsyncMethod[TellingNoun, P, T]:
        @wraps(method)
        async def writing(self: TellingNoun, /, *args: P.args, **options: P.kwargs) -> T:
            told: list[str] = []

            def step(connection: sqlite3.Connection) -> T:
                # It may have been tried before, beside others.
                told.clear()
                return method(self, connection, told, *args, **options)

            return await self._database.write(attempt, step, then=lambda _: self._watch.tell(told))

        return writing

    return decorate

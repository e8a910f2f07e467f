"""Sleeping: waits whose end is saved when they begin."""

import asyncio
import json
from collections.abc import Coroutine
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

from runtara_sdk.workflow.context import InWorkflow, required
from runtara_sdk.workflow.duration import Duration, duration
from runtara_sdk.workflow.entries import Entry, Kind
from runtara_sdk.workflow.errors import Changed
from runtara_sdk.workflow.places import Place, Scope
from runtara_sdk.workflow.run import Run

_STRUCK = "struck"


def sleep(how_long: Duration) -> Coroutine[Any, Any, None]:
    """
    Sleep, counted from when an instance first comes here, whatever becomes of its processes.

    A long sleep ends the process; another one goes on when it is over.
    """
    length = duration(how_long)
    where = required(f"sleep({how_long!r})")
    return _slept(where.run, where.branch.place("sleep"), length)


async def _slept(run: Run, place: Place, length: timedelta) -> None:
    until = await _deadline(run, place, length)
    struck = await run.beside(place, _STRUCK)
    if struck is not None:
        await run.throw(place, struck)
    with run.flight(place):
        if until > run.clock():
            await run.wait(place, run.waiting(until, key=place.key), place.beside(_STRUCK))
        # Where no process was there, or what strikes was still on its way from another branch.
        overslept = place.overslept(until)
        if overslept is not None:
            await run.strike(place, overslept, place.beside(_STRUCK))


async def _deadline(run: Run, place: Place, length: timedelta) -> datetime:
    """The deadline saved for a place, now if it is live; throws what has struck before it was."""
    entry = await run.passed(place)
    if entry is None:
        with run.flight(place):
            await run.admit(place)
            text = json.dumps((run.clock() + length).isoformat()).encode()
            entry = await run.save(place.key, Entry(Kind.UNTIL, text, place.at))
    if entry.kind is Kind.STRUCK:
        await run.throw(place, entry)
    if entry.kind is not Kind.UNTIL:
        await run.stop(Changed(f"{place.key!r} saved a {entry.kind}, and is a deadline now"))
    return datetime.fromisoformat(json.loads(entry.value))


class timeout:
    """
    `async with timeout("7d")`: raise TimeoutError at a durable call when the time is over.

    The deadline is saved at entry, and so is the call that is struck: a replay raises there again.
    """

    def __init__(self, how_long: Duration) -> None:
        self._length = duration(how_long)
        self._how_long = how_long
        self._where: InWorkflow | None = None
        self._scope: Scope | None = None

    async def __aenter__(self) -> "timeout":
        where = required(f"timeout({self._how_long!r})")
        place = where.branch.place("timeout")
        until = await _deadline(where.run, place, self._length)
        self._where, self._scope = where, Scope(place.key, until)
        where.run.strikes.enter(where.branch, self._scope)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._where is not None
        assert self._scope is not None
        struck = self._where.run.strikes.exit(self._where.branch, self._scope, error)
        # With another that struck in here, it is that one's error that goes on.
        if struck == [self._scope] and isinstance(error, asyncio.CancelledError):
            raise TimeoutError(f"{self._scope.key}: timeout({self._how_long!r}) is over") from error

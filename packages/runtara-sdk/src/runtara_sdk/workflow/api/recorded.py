"""Values that code between steps may use: each is made once and then the same on every replay."""

import random as _random
import uuid
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar, cast

from runtara_sdk.workflow.engine.calls import Place
from runtara_sdk.workflow.engine.context import required
from runtara_sdk.workflow.engine.execution import Run
from runtara_sdk.workflow.engine.records import Entry, Kind
from runtara_sdk.workflow.errors import Changed, StateUnreadable

T = TypeVar("T")


def now() -> Coroutine[Any, Any, datetime]:
    """Tell the time, in UTC: that of the first run that came here."""
    where = required("now()")
    return _made(where.run, where.branch.place("now"), where.run.clock, datetime)


def uuid4() -> Coroutine[Any, Any, uuid.UUID]:
    """Give a random UUID."""
    where = required("uuid4()")
    return _made(where.run, where.branch.place("uuid4"), uuid.uuid4, uuid.UUID)


def random() -> Coroutine[Any, Any, float]:
    """Give a random number, at least 0 and less than 1."""
    where = required("random()")
    return _made(where.run, where.branch.place("random"), _random.random, float)


async def _made(run: Run, place: Place, make: Callable[[], T], kind: type[T]) -> T:
    # Only now: it imports pydantic.
    from runtara_sdk.workflow.values import codec

    entry = await run.passed(place)
    if entry is None:
        with run.flight(place):
            await run.admit(place)
            made = codec.encode(place.key, make(), kind)
            entry = Entry(Kind.RESULT, made.text, place.at, form=made.form)
            entry = await run.save(place.key, entry)
    return cast("T", await value_of(run, place, entry, kind))


async def value_of(run: Run, place: Place, entry: Entry, annotation: object) -> Any:
    """The value of an entry; throws what it says has struck there."""
    from runtara_sdk.workflow.values import codec

    if entry.kind is Kind.STRUCK:
        await run.throw(place, entry)
    try:
        if entry.kind not in (Kind.RESULT, Kind.UNREAD):
            raise Changed(
                f"{place.key!r} saved a {entry.kind} when the instance passed it, and is now to"
                " give a value: call what was called there"
            )
        return codec.decode(place.key, entry.value, annotation, entry.form)
    except (Changed, StateUnreadable) as error:
        await run.stop(error)

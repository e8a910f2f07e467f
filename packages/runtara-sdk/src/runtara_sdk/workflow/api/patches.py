"""Patches: changes of code under instances that are under way."""

from collections.abc import Coroutine
from typing import Any

from runtara_sdk.workflow.api.recorded import value_of
from runtara_sdk.workflow.engine.calls import Place
from runtara_sdk.workflow.engine.context import required
from runtara_sdk.workflow.engine.execution import Run
from runtara_sdk.workflow.engine.records import Entry, Kind


def patched(name: str) -> Coroutine[Any, Any, bool]:
    """
    Tell whether this instance takes the new way: it has not gone the old one past here.

    The answer is the same on every replay. `if await patched("x"): new() else: old()` may lose
    its else once no instance that went the old way is under way, and the question itself once no
    instance is that was asked: keep `await patched("x")` until then.
    """
    where = required(f"patched({name!r})")
    run, branch = where.run, where.branch
    had = run.history.had(branch.path, branch.position + 1)
    place = branch.place(f"patched:{name}")
    is_past = had is None and run.history.last(branch.path) >= branch.position
    if is_past or had not in (None, place.key):
        branch.position -= 1
        return _old_way()
    return _new_way(run, place)


async def _old_way() -> bool:
    return False


async def _new_way(run: Run, place: Place) -> bool:
    entry = await run.passed(place)
    if entry is None:
        with run.flight(place):
            await run.admit(place)
            entry = await run.save(place.key, Entry(Kind.RESULT, b"true", place.at))
    return bool(await value_of(run, place, entry, bool))

"""Restarts: endless workflows go on as a new instance, with no past to carry."""

import json
import re
from collections.abc import Coroutine
from typing import Any, NoReturn

from runtara_sdk.workflow.context import required
from runtara_sdk.workflow.ending import Ended, Outcome
from runtara_sdk.workflow.first import START, first_entry
from runtara_sdk.workflow.places import Place
from runtara_sdk.workflow.run import Run

_NUMBERED = re.compile(r"(?P<name>.*)~(?P<number>[1-9][0-9]*)", re.DOTALL)


def restart_as(*args: object, **kwargs: object) -> Coroutine[Any, Any, NoReturn]:
    """
    Complete this instance and go on as another one of the same workflow, with these arguments.

    "agent" goes on as "agent~2", and that as "agent~3"; the output of the old one names the new.
    Call it where no branch is open: nothing that is under way is waited for. It never returns.
    """
    where = required("restart_as()")
    text = where.run.workflow.input(args, kwargs)
    place = where.branch.place("restart")
    return _restarted(where.run, place, text)


def successor_of(instance_id: str) -> str:
    """The instance that goes on after one."""
    found = _NUMBERED.fullmatch(instance_id)
    name, number = (instance_id, 1) if found is None else (found["name"], int(found["number"]))
    return f"{name}~{number + 1}"


async def _restarted(run: Run, place: Place, text: bytes) -> NoReturn:
    entry = await run.passed(place)
    if entry is not None:
        run.thrown(place, entry)
    with run.flight(place):
        await run.admit(place)
        left_out = run.history.left_out()
        if left_out is not None:
            await run.stop(left_out)
        successor = successor_of(run.instance_id)
        state = first_entry(run.workflow.name, text).encode()
        await run.reach(lambda: run.journal.hand_over(successor, START, state))
        output = json.dumps({"restarted_as": successor}, ensure_ascii=False).encode()
        await run.reach(lambda: run.journal.complete(output))
        await run.stop(Ended(Outcome.RESTARTED, output=output, successor=successor))

"""Restarts: endless workflows go on as a new instance, with no past to carry."""

from collections.abc import Coroutine, Mapping
from typing import Any, NoReturn

from runtara_sdk.workflow.engine.calls import Place
from runtara_sdk.workflow.engine.context import required
from runtara_sdk.workflow.engine.definition import Definition
from runtara_sdk.workflow.engine.execution import Run
from runtara_sdk.workflow.engine.outcome import restarted
from runtara_sdk.workflow.engine.start import START
from runtara_sdk.workflow.errors import WorkflowError
from runtara_sdk.workflow.values.form import Form


def restart_as(*args: object, **kwargs: object) -> Coroutine[Any, Any, NoReturn]:
    """
    Complete this instance and go on as another one of the same workflow, with these arguments.

    "agent" goes on as "agent~2", and that as "agent~3"; the output of the old one names the new,
    and who runs the old one again runs the new one. It never returns. Nothing else may be under
    way, as nobody would wait for it.
    """
    where = required("restart_as()")
    _check_alone(where.run)
    text, form = _input(where.run.workflow, args, kwargs)
    place = where.branch.place("restart")
    return _restarted(where.run, place, text, form)


def _input(
    workflow: Definition, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> tuple[bytes | None, Form]:
    try:
        return workflow.input(args, kwargs)
    except TypeError as error:
        raise TypeError(
            f"restart_as() takes the arguments of workflow {workflow.name!r}: {error}"
        ) from None


def _check_alone(run: Run) -> None:
    if len(run.branches) > 1 or run.in_flight:
        names = [place.key for place in run.in_flight]
        names += [branch.path for branch in run.branches if branch.path]
        raise WorkflowError(
            f"restart_as() while {', '.join(map(repr, sorted(names)))} is under way, which would be"
            " lost: call it in the workflow's own branch, when its groups have ended and its"
            " tasks been awaited"
        )


async def _restarted(run: Run, place: Place, text: bytes | None, form: Form) -> NoReturn:
    entry = await run.passed(place)
    if entry is not None:
        await run.throw(place, entry)
    with run.flight(place):
        await run.admit(place)
        left_out = run.history.left_out()
        if left_out is not None:
            await run.stop(left_out)
        end = restarted(run.instance_id)
        state = run.workflow.first(text, form).encode()
        await run.reach(lambda: run.journal.hand_over(end.successor, START, state))
        await run.reach(lambda: run.journal.complete(end.output))
        await run.stop(end)

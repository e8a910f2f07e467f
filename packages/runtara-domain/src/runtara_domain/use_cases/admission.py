"""Errors for the callers of steps that did not apply."""

from runtara_domain.error import InstanceNotFound, InstanceSuperseded, InvalidInstanceState
from runtara_domain.model import Caller, RunState
from runtara_domain.status import Condition


def require_admitted(
    caller: Caller, before: RunState | None, when: Condition, action: str
) -> RunState:
    """
    Return the instance's state and run before the step, if the step applied.

    Raises InstanceNotFound, InstanceSuperseded or InvalidInstanceState otherwise, in this order.
    """
    run_state = require_current(caller, before)
    if run_state.state not in when:
        allowed = " or ".join(sorted(when))
        raise InvalidInstanceState(
            f"Instance {caller.instance_id!r} is {run_state.state}:"
            f" to {action}, it must be {allowed}"
        )
    return run_state


def require_current(caller: Caller, before: RunState | None) -> RunState:
    """
    Return the state and run of an instance that exists and has no newer run than the caller's.

    Raises InstanceNotFound or InstanceSuperseded.
    """
    if before is None:
        raise InstanceNotFound(caller.instance_id)
    if before.supersedes(caller):
        raise superseded(caller.instance_id, caller.run, before.run)
    return before


def superseded(instance_id: str, run: int | None, newest: int) -> InstanceSuperseded:
    """Return the error that a newer run has superseded the caller's."""
    return InstanceSuperseded(
        f"Run {run} of instance {instance_id!r} was superseded by run {newest}:"
        " this process must stop"
    )

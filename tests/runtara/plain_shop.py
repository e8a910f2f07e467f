"""The shop as plain functions."""

import threading

from tests.runtara.shop import Decision, Declined

from runtara import Promise
from runtara.sync import child, get, sleep, step, workflow

APPROVAL = Promise("plain approval", Decision)
STEPS: list[str] = []


@step
def charge(order: str, cents: int) -> int:
    """Take the money."""
    STEPS.append(f"charge {order}")
    return cents


@step(name="fails", raises=Declined)
def fails() -> None:
    """Fail as declared."""
    raise Declined("nobody")


@workflow(name="plain-fulfil", suspend_after="0s", raises=Declined)
def fulfil(order: str, cents: int = 5) -> str:
    """Charge, wait, end; a declared error of a step is caught as in any function."""
    paid = charge(order, cents)
    sleep("50ms")
    decision = get(APPROVAL)
    try:
        fails()
    except Declined:
        STEPS.append("declined")
    if not decision.approved:
        raise Declined(decision.by)
    return f"{order} {paid} {decision.by} {threading.current_thread().name}"


@workflow(name="plain-parent")
def parent(names: list[str]) -> list[str]:
    """Have children."""
    return [child(greet.bind(name), id=f"plain-{name}") for name in names]


@workflow(name="plain-greet")
def greet(name: str) -> str:
    """Say hello."""
    return f"Hello, {name}!"


WORKFLOWS = (fulfil, parent, greet)

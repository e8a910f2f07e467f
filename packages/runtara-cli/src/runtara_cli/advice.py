"""The next event of an instance, or the command that moves it."""

from datetime import datetime
from typing import TYPE_CHECKING

from runtara_cli import words

if TYPE_CHECKING:
    from runtara_management_sdk import Instance, InstanceSummary

_UNTIL = {"sleep": "wakes in", "retry": "tries again in"}


def next_of(one: "InstanceSummary | Instance", now: datetime) -> str:
    """Return the next event of the instance, or the command that moves it."""
    if one.status.is_final:
        return "" if one.status == "completed" else again(one)
    if one.is_blocked:
        return f"runtara explain {one.instance_id}"
    if one.waiting_for:
        return _after(one, now)
    moment = words.next_moment(one)
    if one.status == "suspended":
        return _in("wakes in", moment, now) or f"runtara resume {one.instance_id}"
    return _in("starts in", moment, now)


def again(one: "InstanceSummary | Instance") -> str:
    """Return the command for an instance that has failed or was cancelled."""
    # A retry would give the workflow the same input.
    if one.workflow is not None and (one.error or "").startswith("InputRefused"):
        return f"runtara start {one.workflow} JSON"
    return f"runtara retry {one.instance_id}"


def _after(one: "InstanceSummary | Instance", now: datetime) -> str:
    first = one.waiting_for[0]
    if first.kind == "decision":
        return f"runtara explain {one.instance_id}"
    said = _in(_UNTIL.get(first.kind, "times out in"), first.until, now)
    if said or first.kind != "promise":
        return said
    return f"runtara send {one.instance_id} {first.name}"


def _in(said: str, moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return ""
    return f"{said} {words.span(moment - now)}" if moment > now else "due now"

"""The events of an instance, in the order of time."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runtara_cli import words
from runtara_cli.history import History, Recorded
from runtara_domain.record import record

if TYPE_CHECKING:
    from runtara_management_sdk import Event, Launch

_UNSAID = frozenset({"started", "heartbeat", "completed", "failed"})
"""Events whose news the instance and its launches bring as well."""

_SUSPENDED = 75
"""The exit code of a process whose workflow waits."""


@record
class Moment:
    """Something that has happened, in words."""

    at: datetime
    what: str
    detail: str = ""
    colour: str | None = None


def timeline(history: History) -> list[Moment]:
    """Return all that is known, the oldest first."""
    one = history.instance
    found = [Moment(one.created_at, "started", colour="bright_black")]
    # All are read newest first, and some have equal times: reversed, these keep their order.
    for launch in reversed(history.launches):
        found += _launch(launch)
    for saved in reversed(history.checkpoints):
        if saved.checkpoint_id == "~workflow":
            found.append(_beginning(saved, history))
        elif not _is_look(saved):
            found.append(_checkpoint(saved))
    found += [_event(each) for each in reversed(history.events) if each.type not in _UNSAID]
    if one.finished_at is not None:
        found.append(Moment(one.finished_at, str(one.status), colour=words.colour(one)))
    return sorted(found, key=lambda moment: moment.at)


def _is_look(one: Recorded) -> bool:
    """Return whether an event only has the time at which a waiting instance is checked again."""
    return one.checkpoint_id.startswith("~look/")


def _launch(one: "Launch") -> Iterator[Moment]:
    name = f"process {one.number}"
    yield Moment(one.started_at or one.created_at, f"{name} begins", one.runner or "", "cyan")
    if one.ended_at is None:
        return
    code = f" {one.exit_code}" if one.exit_code is not None else ""
    signal = f" by signal {one.exit_signal}" if one.exit_signal else ""
    # Mostly its end has no consequence of its own, because its run has said how it ends.
    verdict = "" if one.verdict in (None, "nothing") else one.verdict
    figures = [words.size(one.memory_peak_bytes), verdict]
    detail = ", ".join(each for each in figures if each)
    is_fine = one.cause == "exited" and one.verdict != "crash"
    said = f"{name} {(one.cause or 'ended').replace('_', ' ')}{code}{signal}"
    if one.exit_code == _SUSPENDED and not verdict:
        said = f"{name} leaves, until there is something to do"
    yield Moment(one.ended_at, said, detail, "cyan" if is_fine else "red")


def _beginning(one: Recorded, history: History) -> Moment:
    """Return the beginning of the workflow, whose record is saved with that of its first step."""
    begun = [each.created_at for each in history.events if each.type == "started"]
    said = _input((one.record or {}).get("value"))
    return Moment(min([one.created_at, *begun]), "workflow begins", said, "bright_black")


def _checkpoint(one: Recorded) -> Moment:
    name, mark, beside = one.checkpoint_id.partition("!")
    record = one.record or {}
    kind = record.get("kind")
    if beside.startswith("failed"):
        said = f"{name} attempt {beside.partition('#')[2]} failed"
        return Moment(one.created_at, said, _failure(record.get("value")), "yellow")
    if kind == "failure":
        return Moment(one.created_at, f"{name} failed", _failure(record.get("value")), "red")
    if kind == "until":
        return Moment(one.created_at, f"{name} until", _moment(record.get("value")))
    if kind == "intent":
        return Moment(one.created_at, f"{name} is about to be made")
    if mark:
        return Moment(one.created_at, f"{name} {beside}")
    if one.record is None:
        return Moment(one.created_at, one.checkpoint_id, words.size(one.size_bytes), "green")
    return Moment(one.created_at, name, _brief(record.get("value")), "green")


def _event(one: "Event") -> Moment:
    payload = (one.payload or b"").decode(errors="replace")
    if one.type == "suspended":
        return Moment(one.created_at, "suspended", colour="bright_black")
    if one.subtype == "runtara.reopened":
        return Moment(one.created_at, "retried", colour="cyan")
    return Moment(one.created_at, one.subtype or one.type, words.first_line(payload, 100))


def _brief(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if value is not None else ""


def _input(value: Any) -> str:
    return _brief(value.get("input")) if isinstance(value, dict) else _brief(value)


def _failure(value: Any) -> str:
    if not isinstance(value, dict):
        return _brief(value)
    if "error" in value:
        return words.first_line(str(value["error"]), 100)
    return f"{value.get('type', '')}: {value.get('message', '')}"


def _moment(value: Any) -> str:
    if isinstance(value, int | float):
        return words.clock(datetime.fromtimestamp(value, UTC))
    if isinstance(value, str):
        try:
            return words.clock(datetime.fromisoformat(value))
        except ValueError:
            pass
    return _brief(value)

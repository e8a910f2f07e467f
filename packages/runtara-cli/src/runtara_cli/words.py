"""Times and states in words, for people."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtara_management_sdk import Instance, InstanceSummary, Waiting

_STEP = re.compile(
    # An error may be cut anywhere after the number.
    r"step '[^']*' \((?P<key>\S+)\) failed after \d+"
    r"(?: attempts?(?:: (?P<cause>.*?)(?: \(raised as .*)?)?$)?",
    re.MULTILINE,
)
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_COLOURS = {"completed": "green", "failed": "red", "cancelled": "yellow", "running": "cyan"}


def span(length: timedelta) -> str:
    """Write a duration by its two largest units, as `6 d 23 h`; under ten seconds as `1.2 s`."""
    seconds = max(0.0, length.total_seconds())
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for number, (unit, size) in enumerate(_UNITS):
        if whole >= size:
            count, rest = divmod(whole, size)
            next_unit, next_size = _UNITS[min(number + 1, 3)]
            more = rest // next_size if next_size != size else 0
            return f"{count} {unit} {more} {next_unit}" if more else f"{count} {unit}"
    return "0 s"


def ago(moment: datetime | None, now: datetime) -> str:
    """Write how long something is ago; nothing for None."""
    return "" if moment is None else span(now - moment)


def clock(moment: datetime | None) -> str:
    """Write a moment in local time, with date only if it is another day's."""
    if moment is None:
        return ""
    local = moment.astimezone()
    today = datetime.now(UTC).astimezone().date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M:%S}"


def size(count: int | None) -> str:
    """Write a number of bytes."""
    if count is None:
        return ""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def status(one: "InstanceSummary | Instance") -> str:
    """Return an instance's status as text, with its waits."""
    if one.is_blocked:
        return "blocked"
    if one.status == "failed" and one.error:
        return failure(one.error)
    if one.status == "cancelled" and one.error:
        return f"cancelled: {first_line(one.error)}"
    if one.status in ("suspended", "running", "pending") and one.waiting_for:
        more = f" and {len(one.waiting_for) - 1} more" if len(one.waiting_for) > 1 else ""
        return waiting(one.waiting_for[0]) + more
    if one.status == "suspended":
        # The original's programs record no wait.
        return "paused" if next_moment(one) is None else "sleeping"
    if one.status == "pending" and one.queue:
        return f"pending in queue {one.queue}"
    return str(one.status)


def colour(one: "InstanceSummary | Instance") -> str | None:
    """Choose the colour of an instance's status."""
    return "red" if one.is_blocked else _COLOURS.get(one.status)


def waiting(one: "Waiting") -> str:
    """Return an instance's waits as text."""
    if one.kind == "sleep":
        return "sleeping"
    if one.kind == "retry":
        return f"retrying {one.name}"
    if one.kind == "decision":
        return f"in doubt about {one.name.partition('!')[0]}"
    if one.kind == "child":
        return f"waiting for child {one.name}"
    if one.kind == "queue":
        return f"waiting in queue {one.name}"
    return f"waiting for {one.name!r}"


def since(one: "InstanceSummary | Instance") -> datetime:
    """Return since when an instance has its status; None if it is unknown."""
    if one.finished_at is not None:
        return one.finished_at
    if one.waiting_for and one.waiting_for[0].since is not None:
        return one.waiting_for[0].since
    return one.started_at or one.created_at


def next_moment(one: "InstanceSummary | Instance") -> datetime | None:
    """Return when an instance next goes on by itself; None if that is unknown, or it won't."""
    for name in ("next_at", "next_launch_at", "wake_at"):
        found = getattr(one, name, None)
        if isinstance(found, datetime):
            return found
    return None


def failure(error: str, longest: int = 60) -> str:
    """Return a line about an instance's failure: the step, or the error's first line, cut."""
    step = _STEP.search(error)
    if step is not None:
        return f"failed in {step['key']}"
    if not error.startswith("Traceback"):
        return f"failed: {first_line(error, longest)}"
    raised = [each for each in error.splitlines()[1:] if each and not each.startswith(" ")]
    return f"failed: {first_line(raised[0], longest)}" if raised else "failed"


def cause(error: str) -> str:
    """Return a step's error in one line; an empty text for any other error."""
    step = _STEP.search(error)
    return "" if step is None else first_line(step["cause"] or "", 100)


def first_line(text: str, longest: int = 60) -> str:
    """Cut a text to the beginning of its first line that says something."""
    found = next((each.strip() for each in text.splitlines() if each.strip()), "").rstrip(":")
    return found if len(found) <= longest else f"{found[: longest - 1]}…"

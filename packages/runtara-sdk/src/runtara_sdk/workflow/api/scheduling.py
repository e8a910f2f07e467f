"""When workflows are started by themselves, as their code declares it."""

import hashlib
import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

from runtara_sdk.workflow.duration import Duration, duration
from runtara_sdk.workflow.values.ticks import Tick

OverlapName: TypeAlias = Literal["skip", "buffer_one", "allow", "cancel_other"]
MissingName: TypeAlias = Literal["cron", "skip", "first"]
DuplicateName: TypeAlias = Literal["cron", "first", "both"]
AnyFunction: TypeAlias = Callable[..., Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSchedule:
    """The schedule that a workflow's code declares for it; the workflow's name is its name."""

    cron: str
    time_zone: str
    overlap: OverlapName
    missing: MissingName
    duplicate: DuplicateName
    catch_up: timedelta
    jitter: timedelta

    @property
    def metadata(self) -> Mapping[str, object]:
        """The schedule as an image's metadata has it, under `schedule`."""
        return {
            "cron": self.cron,
            "time_zone": self.time_zone,
            "overlap": self.overlap,
            "missing": self.missing,
            "duplicate": self.duplicate,
            "catch_up_s": self.catch_up.total_seconds(),
            "jitter_s": self.jitter.total_seconds(),
        }


def declared(
    cron: str | None,
    tz: str,
    overlap: OverlapName,
    missing: MissingName,
    duplicate: DuplicateName,
    catch_up: Duration,
    jitter: Duration,
) -> CodeSchedule | None:
    """Return a workflow's schedule; None without cron. Raises ValueError for a wrong option."""
    if cron is None:
        return None
    # Only a declared schedule needs the cron parser.
    from runtara_schedules.declared import problem

    made = CodeSchedule(
        cron=cron,
        time_zone=tz,
        overlap=overlap,
        missing=missing,
        duplicate=duplicate,
        catch_up=duration("catch_up=", catch_up),
        jitter=duration("jitter=", jitter),
    )
    found = problem(made.metadata)
    if found is not None:
        raise ValueError(f"@workflow(cron=...): {found}")
    return made


def check_takes_ticks(function: AnyFunction) -> None:
    """Raise TypeError for a workflow with a schedule that needs more than its tick."""
    needed = [
        one for one in inspect.signature(function).parameters.values() if one.default is one.empty
    ]
    if not needed or (len(needed) == 1 and _is_tick(needed[0].annotation)):
        return
    raise TypeError(
        f"workflow {function.__name__!r} has a schedule, and takes"
        f" {', '.join(one.name for one in needed)}: let it take no argument, or one annotated Tick,"
        " and give the others defaults"
    )


def ticks_of(hints: Mapping[str, object]) -> list[str]:
    """Name the parameters that get the tick."""
    return [name for name, kind in hints.items() if kind is Tick and name != "return"]


def code_version(function: AnyFunction) -> str:
    """Return the version of a workflow's module, a digest of its text."""
    try:
        text = Path(inspect.getfile(function)).read_bytes()
    except (OSError, TypeError):
        # The module has no file, as in an interactive session.
        text = function.__code__.co_code
    return hashlib.sha256(text).hexdigest()[:16]


def _is_tick(annotation: object) -> bool:
    if isinstance(annotation, str):
        return annotation.rpartition(".")[2] == Tick.__name__
    return annotation is Tick

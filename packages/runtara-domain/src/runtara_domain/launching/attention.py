"""
The measures against a launch's process, and their times: one pure rule for each reason.

A rule reads the launch's row, and yields measures. The measures whose time has come are taken, the
gentlest first; none is taken twice, and none after a harsher one.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import IntEnum

from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import OpenLaunch
from runtara_domain.model.stored_images import Image
from runtara_domain.record import record
from runtara_domain.status import State

LEFT = "the environment has ended"
"""The reason of a launch that ends because its environment ends in order."""

_SECOND = timedelta(seconds=1)


class Act(IntEnum):
    """The kinds of measures, from gentle to harsh."""

    CANCEL = 1
    """The instance gets a cancel."""
    TERMINATE = 2
    KILL = 3


@record(kw_only=True)
class Measure:
    """An act at a time by the database's clock, with the cause and reason of the launch's end."""

    at: datetime
    act: Act
    cause: Cause
    reason: str


@record(kw_only=True)
class Patience:
    """
    The times for which a launch is waited for.

    start_timeout: from the claim to the registration. grace: from the cancel of a timeout to the
    kill. silence: the longest time without a sign of life of a RUNNING instance. to_go: the longest
    time that a process may run on while its instance is due. last: from SIGTERM to SIGKILL.
    """

    start_timeout: timedelta = timedelta(seconds=300)
    grace: timedelta = timedelta(seconds=10)
    silence: timedelta = timedelta(seconds=120)
    to_go: timedelta = timedelta(seconds=2)
    last: timedelta = _SECOND

    def of(self, image: Image | None) -> "Patience":
        """Return these times with the changes of an image's metadata."""
        metadata = {} if image is None else image.metadata
        return Patience(
            start_timeout=_seconds(metadata.get("start_timeout_s"), self.start_timeout),
            grace=_seconds(metadata.get("grace_s"), self.grace),
            silence=self.silence,
            to_go=self.to_go,
            last=self.last,
        )


@record(kw_only=True)
class Leaving:
    """The end of the environment: its beginning, and the grace for processes."""

    since: datetime
    grace: timedelta


def measures(
    launch: OpenLaunch,
    patience: Patience,
    *,
    due_seen_at: datetime,
    leaving: Leaving | None,
    queued: timedelta | None = timedelta(0),
) -> list[Measure]:
    """
    Return the measures against an open launch's process, the earliest first.

    due_seen_at: when the environment first saw that the instance is due. queued: for how long it
    waited for its turn to begin, which no timeout counts; None while it waits.
    """
    found = [
        *_stopped(launch, patience),
        *_timed_out(launch, patience, queued),
        *_unregistered(launch, patience, queued),
        *_silent(launch, patience),
        *_due(launch, patience, due_seen_at),
        *_left(leaving),
    ]
    return sorted(found, key=lambda one: (one.at, one.act))


def with_measure(end: LaunchEnd, taken: Measure | None) -> LaunchEnd:
    """Return an end with the cause of the taken measure; OUT_OF_MEMORY stays as it is."""
    if taken is None or end.cause in _OWN_EVIDENCE:
        return end
    return LaunchEnd(
        cause=taken.cause,
        reports=end.reports,
        exit_code=end.exit_code,
        signal=end.signal,
        output=end.output,
        stderr=end.stderr,
        reason=taken.reason,
        memory_peak_bytes=end.memory_peak_bytes,
        cpu_usage_usec=end.cpu_usage_usec,
        is_closed=end.is_closed,
    )


_OWN_EVIDENCE = frozenset(
    {Cause.OUT_OF_MEMORY, Cause.MACHINE_OUT_OF_MEMORY, Cause.MACHINE_RESTARTED}
)


def _stopped(launch: OpenLaunch, patience: Patience) -> Iterator[Measure]:
    if launch.stop_at is not None:
        reason = launch.stop_reason or "stopped"
        yield from _ended_at(launch.stop_at, patience, Cause.STOPPED, reason)


def _timed_out(
    launch: OpenLaunch, patience: Patience, queued: timedelta | None
) -> Iterator[Measure]:
    if launch.timeout_at is None or queued is None:
        return
    at = launch.timeout_at + queued
    after = (launch.timeout_at - launch.created_at).total_seconds()
    reason = f"timed out after {after:g} s"
    if launch.run is not None:
        # An unregistered process gets no cancel: its instance would end while the process runs on.
        yield Measure(at=at, act=Act.CANCEL, cause=Cause.TIMED_OUT, reason=reason)
    yield Measure(at=at + patience.grace, act=Act.KILL, cause=Cause.TIMED_OUT, reason=reason)


def _unregistered(
    launch: OpenLaunch, patience: Patience, queued: timedelta | None
) -> Iterator[Measure]:
    if launch.run is None and queued is not None:
        span = patience.start_timeout
        yield Measure(
            at=launch.created_at + queued + span,
            act=Act.KILL,
            cause=Cause.START_TIMEOUT,
            reason=f"not registered after {span.total_seconds():g} s",
        )


def _silent(launch: OpenLaunch, patience: Patience) -> Iterator[Measure]:
    is_running = launch.state is State.RUNNING and launch.run is not None
    if is_running and launch.last_activity_at is not None:
        span = patience.silence
        yield Measure(
            at=launch.last_activity_at + span,
            act=Act.KILL,
            cause=Cause.KILLED,
            reason=f"killed because it gave no sign of life for {span.total_seconds():g} s",
        )


def _due(launch: OpenLaunch, patience: Patience, seen_at: datetime) -> Iterator[Measure]:
    # An unregistered launch is the new launch of the due instance.
    if launch.due_since is None or launch.run is None or launch.is_sleep_held:
        return
    since = max(launch.due_since, seen_at) + patience.to_go
    yield from _ended_at(
        since, patience, Cause.KILLED, "killed because it ran on while its instance was due"
    )


def _left(leaving: Leaving | None) -> Iterator[Measure]:
    if leaving is not None:
        for at, act in (
            (leaving.since, Act.TERMINATE),
            (leaving.since + leaving.grace, Act.KILL),
        ):
            yield Measure(at=at, act=act, cause=Cause.STOPPED, reason=LEFT)


def _ended_at(at: datetime, patience: Patience, cause: Cause, reason: str) -> Iterator[Measure]:
    yield Measure(at=at, act=Act.TERMINATE, cause=cause, reason=reason)
    yield Measure(at=at + patience.last, act=Act.KILL, cause=cause, reason=reason)


def _seconds(value: object, default: timedelta) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return timedelta(seconds=value)

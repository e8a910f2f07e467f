"""
A change of many instances: planned, counted, confirmed, and continued after a kill.

A plan is a file with a line for each instance; a second file has the number of changed ones, which
is written after each batch. If a kill or Ctrl-C ended a batch early, its instances are read before
they are changed again, so that no instance is changed twice. A plan without a batch for an hour is
forgotten: the same command then chooses, counts and asks again.
"""

import fcntl
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtara_cli import codes, options, words
from runtara_cli.output import is_terminal
from runtara_cli.session import Session
from runtara_domain.record import record

if TYPE_CHECKING:
    from runtara_management_sdk import InstanceFilter, InstanceSummary

_BATCH = 16
_RESUMED = timedelta(hours=1)
"""How long after its last batch a plan is continued without asking."""
_SHOWN = 5
"""The most refusals that are shown."""


@record
class Verb:
    """
    The change of one instance.

    name: the command's name. of: the statuses of instances that it can change. act: changes an
    instance, and returns how many instances that changed; None stands for one. also: the instances
    that are changed with it. checks: whether `act` itself changes nothing, and returns 0, if the
    instance is not as planned; otherwise instances of a batch that was broken off are read first.
    help: advice for refusals. passed: further reasons for which instances are passed over.
    """

    name: str
    of: tuple[str, ...]
    act: "Callable[[Planned], Awaitable[int | None]]"
    also: str = ""
    checks: bool = False
    help: str = ""
    passed: str = ""


@record
class Planned:
    """
    An instance when the plan was made; of an instance given by its id only the id is known.

    finished_before: the bound on ends by which it was chosen.
    """

    instance_id: str
    status: str = ""
    finished_at: str | None = None
    finished_before: str | None = None

    @property
    def ended_at(self) -> datetime | None:
        """When it ended; None if it was open, or if that is unknown."""
        return _moment(self.finished_at)

    @property
    def before(self) -> datetime | None:
        """The time before which it and its descendants must have ended; None for any time."""
        return _moment(self.finished_before)


async def change(
    session: Session,
    verb: Verb,
    instance_ids: Sequence[str],
    values: dict[str, Any],
    *,
    is_agreed: bool,
) -> int:
    """
    Change the named instances, or those that the filters choose; return the exit code.

    Raises UsageError unless either is given, and without a terminal unless is_agreed.
    """
    is_filtered = any(values.values())
    if instance_ids and is_filtered:
        raise click.UsageError("takes IDs or filters, not both")
    if instance_ids:
        for instance_id in instance_ids:
            await verb.act(Planned(instance_id))
        return codes.DONE
    if not is_filtered:
        raise click.UsageError("name instances by their IDs, or choose them by filters")
    # The text of a moment such as "2h" is the same when the command is given again.
    texts = click.get_current_context().meta.get(options.TEXTS, {})
    said = ", ".join(f"{name} {texts.get(name, value)}" for name, value in values.items() if value)
    with _taken(_key(session, verb, said)) as plan:
        if plan.is_begun and plan.age(session.now) > _RESUMED:
            session.out.note(f"not gone on with, too old: {_how_far(session, plan)}")
            plan.discard()
        if not plan.is_begun:
            which = options.chosen(values)
            await plan.make(_chosen(session, verb, which), before=which.finished_before)
        if not _agreed(session, verb, plan, said, is_agreed=is_agreed):
            plan.discard()
            return codes.DONE
        return await _carried_out(session, verb, plan)


class Plan:
    """The file of a plan, and the file with the numbers of its done lines and changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._progress = path.with_suffix(".done")

    @property
    def is_begun(self) -> bool:
        """Whether the plan was confirmed, and has lines left."""
        return self._progress.exists()

    def age(self, now: datetime) -> timedelta:
        """Return the time since its last batch; only if it is begun."""
        return now - datetime.fromtimestamp(self._progress.stat().st_mtime, UTC)

    @property
    def done(self) -> int:
        """The number of done lines."""
        return self._noted()[0]

    @property
    def changed(self) -> int:
        """The number of changed instances."""
        return self._noted()[1]

    def _noted(self) -> tuple[int, int]:
        if not self.is_begun:
            return 0, 0
        done, _, changed = self._progress.read_text().partition(" ")
        # An older version wrote only the number of done lines.
        return int(done), int(changed or done)

    async def make(
        self, found: AsyncIterator["InstanceSummary"], *, before: datetime | None
    ) -> None:
        """Write the instances to change, and the bound on ends that chose them."""
        with self._path.open("w") as file:
            async for one in found:
                line = [one.instance_id, one.status, _text(one.finished_at), _text(before)]
                file.write(json.dumps(line) + "\n")

    def counts(self) -> Counter[str]:
        """Count the instances by their statuses."""
        return Counter(one.status for one in self.rest(0))

    def rest(self, done: int) -> Iterator[Planned]:
        """Yield the instances after the first `done` ones."""
        with self._path.open() as file:
            for line in islice(file, done, None):
                yield Planned(*json.loads(line))

    def note(self, done: int, changed: int) -> None:
        """Write the numbers of done lines and of changed instances."""
        temporary = self._progress.with_suffix(".new")
        temporary.write_text(f"{done} {changed}")
        temporary.replace(self._progress)

    def discard(self) -> None:
        """Delete the files of the plan."""
        self._progress.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


def _key(session: Session, verb: Verb, said: str) -> str:
    way = session.access
    where = way.database_url or way.environment_addr or os.environ.get("RUNTARA_ENVIRONMENT_ADDR")
    return hashlib.sha256(json.dumps([where, verb.name, said]).encode()).hexdigest()[:16]


@contextmanager
def _taken(key: str) -> Iterator[Plan]:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    folder = Path(state) / "runtara/bulk"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{key}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.UsageError("the same change is under way already") from None
        yield Plan(folder / f"{key}.plan")


async def _chosen(
    session: Session, verb: Verb, which: "InstanceFilter"
) -> AsyncIterator["InstanceSummary"]:
    from runtara_management_sdk import Status

    if which.status is not None and which.status not in verb.of:
        raise click.UsageError(f"--status takes one of {', '.join(verb.of)} with {verb.name}")
    statuses = verb.of if which.status is None else (which.status,)
    for status in statuses:
        narrowed = replace(which, status=Status(status), created_before=session.now)
        async for one in session.client.instances.list(narrowed):
            yield one


def _agreed(session: Session, verb: Verb, plan: Plan, said: str, *, is_agreed: bool) -> bool:
    counts = plan.counts()
    total = counts.total()
    if plan.is_begun:
        session.out.note(f"goes on: {_how_far(session, plan)}")
        return True
    by_status = ", ".join(f"{count:,} {status}" for status, count in counts.items())
    what = f"{total:,} instances{verb.also}"
    session.out.note(f"{verb.name}: {what} ({said}){by_status and f': {by_status}'}")
    if total == 0:
        return False
    if not is_agreed:
        if not is_terminal(sys.stdin):
            raise click.UsageError("there is no terminal to ask on: pass --yes to agree")
        if not click.confirm("Go on?", err=True):
            return False
    plan.note(0, 0)
    return True


def _how_far(session: Session, plan: Plan) -> str:
    ago = words.span(plan.age(session.now))
    return f"{plan.done:,} of {plan.counts().total():,} are done, as of {ago} ago"


async def _carried_out(session: Session, verb: Verb, plan: Plan) -> int:
    # Imported here: --help needs no event loop.
    import asyncio

    from runtara_sdk.errors import RequestNotKnown, ServerError

    refused: list[str] = []
    passed_over: list[str] = []

    async def act(one: Planned, *, looks: bool) -> int:
        try:
            if looks and not await _is_as_planned(session, one):
                # It was changed before the kill.
                return 1
            count = await verb.act(one)
        except RequestNotKnown:
            # The environment is too old for every instance.
            raise
        except ServerError as error:
            refused.append(f"{one.instance_id}: {error}")
            return 0
        if count == 0:
            passed_over.append(one.instance_id)
        return 1 if count is None else count

    # A batch that a kill broke off may be done in part.
    done, changed, looks = plan.done, plan.changed, not verb.checks
    total, planned = plan.counts().total(), plan.rest(done)
    try:
        while batch := list(islice(planned, _BATCH)):
            changed += sum(await asyncio.gather(*(act(one, looks=looks) for one in batch)))
            plan.note(done := done + len(batch), changed)
            looks = False
            _progress(done, total)
    except (asyncio.CancelledError, KeyboardInterrupt):
        session.out.note(
            f"stopped: {done:,} of {total:,} are done; within an hour the same command goes on"
            " with the rest, unasked"
        )
        raise
    plan.discard()
    _tell(session, verb, changed, refused, passed_over)
    return codes.REFUSED if refused else codes.DONE


def _tell(
    session: Session, verb: Verb, changed: int, refused: list[str], passed_over: list[str]
) -> None:
    session.out.result(
        {"verb": verb.name, "changed": changed, "refused": refused}, lambda: str(changed)
    )
    if passed_over:
        why = f"gone or changed since they were chosen{verb.passed}"
        session.out.note(f"passed over: {len(passed_over):,}, {why}")
    for text in refused[:_SHOWN]:
        session.out.note(f"refused: {text}")
    if len(refused) > _SHOWN:
        session.out.note(f"and {len(refused) - _SHOWN:,} more")
    if refused and verb.help:
        session.out.note(f"Next: {verb.help}")


async def _is_as_planned(session: Session, one: Planned) -> bool:
    found = await session.client.instances.get(one.instance_id)
    return (
        found is not None
        and found.status == one.status
        and _text(found.finished_at) == one.finished_at
    )


def _progress(done: int, total: int) -> None:
    if is_terminal(sys.stderr):
        click.echo(f"\r{done:,} of {total:,}" + ("\n" if done == total else ""), err=True, nl=False)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)

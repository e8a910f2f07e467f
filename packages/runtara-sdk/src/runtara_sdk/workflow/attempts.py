"""The attempts of one live step, whose number survives crashes."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from runtara_sdk.workflow.context import Current, entered, idempotency_key
from runtara_sdk.workflow.duration import duration
from runtara_sdk.workflow.entries import Entry, Kind
from runtara_sdk.workflow.places import Place
from runtara_sdk.workflow.plan import Doubt, NotDone, Plan
from runtara_sdk.workflow.promises import heard
from runtara_sdk.workflow.run import Run

logger = logging.getLogger(__name__)

Work = Callable[[], Awaitable[Any]]

_DURABLE = timedelta(minutes=1)
"""A wait between attempts that is longer outlives the process."""


class Failed(Exception):
    """The last attempt has failed; `error` is what it raised."""

    def __init__(self, error: Exception, attempts: int) -> None:
        super().__init__(error)
        self.error = error
        self.attempts = attempts


@dataclass(slots=True)
class Attempts:
    """
    Makes the attempts at one place until one succeeds or none is left.

    `ask` asks what became of an effect, None if nobody can be asked; `given` reads a result that a
    person gave as JSON.
    """

    run: Run
    place: Place
    plan: Plan
    work: Work
    given: Callable[[bytes], object]
    ask: Work | None = None
    number: int = 1
    since: datetime | None = None

    async def result(self) -> object:
        """What the step gives; raises Failed, or what strikes."""
        await self._recall()
        found = await self._doubted() if self.plan.is_external else NotDone()
        while isinstance(found, NotDone):
            await self.run.admit(self.place)
            await self._intend()
            try:
                return await self._once(self.work)
            except Exception as error:
                await self._failed(error)
        return found

    async def _recall(self) -> None:
        """Go on counting where a process before this one stopped."""
        entry = await self.run.beside(self.place, "attempts")
        if entry is None:
            return
        self.since = datetime.fromisoformat(json.loads(entry.value))
        failed = self.run.history.attempts(self.place.beside("attempts"))[0]
        self.number = max(failed, 1) + 1
        until = await self.run.beside(self.place, f"wait#{self.number}")
        if until is not None:
            await self._wait(datetime.fromisoformat(json.loads(until.value)), is_saved=True)

    async def _once(self, work: Work) -> object:
        where = Current(
            self.run.instance_id,
            self.place.key,
            self.number,
            idempotency_key(self.run.instance_id, self.place.key),
        )

        async def attempt() -> object:
            with entered(where):
                return await work() if self.plan.timeout is None else await self._in_time(work)

        if self.plan.is_interruptible:
            return await self.run.interruptible(self.place, attempt)
        return await attempt()

    async def _in_time(self, work: Work) -> object:
        assert self.plan.timeout is not None
        try:
            async with asyncio.timeout(duration(self.plan.timeout).total_seconds()) as limit:
                return await work()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeoutError(
                f"the attempt took longer than timeout={self.plan.timeout!r}"
            ) from error

    async def _failed(self, error: Exception) -> None:
        """Record the failure and wait for the next attempt; raises Failed if there is none."""
        now = self.run.clock()
        since = self.since or now
        is_answer = isinstance(error, self.plan.raises)
        next_at = None if is_answer else self._retry(error, since, now)
        if next_at is None:
            raise Failed(error, self.number) from error
        if self.since is None:
            self.since = since
            await self._save("attempts", Kind.ATTEMPTS, since)
        key, number, text = self.place.beside("attempts"), self.number, _text(error)
        await self.run.reach(lambda: self.run.journal.attempt_failed(key, number, text))
        logger.warning(
            "%s: attempt %d of %d failed, the next is made in %.3g s: %s",
            self.place.key,
            number,
            self.plan.retry.attempts,
            max((next_at - now).total_seconds(), 0),
            text,
        )
        self.number += 1
        is_durable = next_at - now > _DURABLE
        if is_durable:
            await self._save(f"wait#{self.number}", Kind.UNTIL, next_at)
        await self._wait(next_at, is_saved=is_durable)

    def _retry(self, error: Exception, since: datetime, now: datetime) -> datetime | None:
        is_late = self.plan.timeout is not None and isinstance(error, TimeoutError)
        if not (is_late or self.plan.retry.takes(error)):
            return None
        return self.plan.retry.next_attempt(self.number, error, since, now)

    async def _wait(self, until: datetime, *, is_saved: bool) -> None:
        if until > self.run.clock():
            key = self.place.beside(f"wait#{self.number}") if is_saved else None
            await self.run.wait(self.place, self.run.waiting(until, key=key), self.place.key)

    async def _intend(self) -> None:
        if self.plan.is_external:
            await self._save(f"intent#{self.number}", Kind.INTENT, self.run.clock())

    async def _doubted(self) -> object:
        """Find out about an attempt that a crash left open; NotDone: make it (again)."""
        if await self.run.beside(self.place, f"intent#{self.number}") is None:
            return NotDone()
        if self.ask is not None:
            try:
                return await self._once(self.ask)
            except Exception as error:
                raise Failed(error, self.number) from error
        if self.plan.doubt is Doubt.AGAIN:
            return NotDone()
        return await self._decided()

    async def _decided(self) -> object:
        """Wait for a person to say what became of the effect."""
        name = self.place.beside("decision")
        logger.warning(
            "%s may have happened before a crash: find out, then send the custom signal %r to"
            ' instance %r, with {"done": RESULT} or {"again": true}',
            self.place.key,
            name,
            self.run.instance_id,
        )
        said = json.loads(await heard(self.run, self.place, name))
        if isinstance(said, dict) and "done" in said:
            return self.given(json.dumps(said["done"]).encode())
        return NotDone()

    async def _save(self, what: str, kind: Kind, moment: datetime) -> None:
        entry = Entry(kind, json.dumps(moment.isoformat()).encode())
        await self.run.save(self.place.beside(what), entry)


def _text(error: Exception) -> str:
    return f"{type(error).__qualname__}: {error}"[:1000].replace("\0", "")

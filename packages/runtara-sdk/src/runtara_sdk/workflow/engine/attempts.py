"""The attempts of one live step, whose number survives crashes."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from runtara_sdk.workflow.duration import duration
from runtara_sdk.workflow.engine.calls import Place
from runtara_sdk.workflow.engine.context import Current, entered, idempotency_key
from runtara_sdk.workflow.engine.execution import Run
from runtara_sdk.workflow.engine.options import Doubt, NotDone, Plan
from runtara_sdk.workflow.engine.records import Kind
from runtara_sdk.workflow.errors import StateUnreadable
from runtara_sdk.workflow.user_objects import is_a, text_of, type_name
from runtara_sdk.workflow.values.tracebacks import readable

logger = logging.getLogger(__name__)

Work = Callable[[], Awaitable[Any]]


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
        """Go on counting, and waiting, where a process before this one stopped."""
        last = None
        while (entry := await self.run.beside(self.place, f"failed#{self.number}")) is not None:
            last = json.loads(entry.value)
            self.number += 1
        if last is None:
            return
        self.since = datetime.fromisoformat(last["since"])
        if await self.run.beside(self.place, f"intent#{self.number}") is None:
            await self._wait(datetime.fromisoformat(last["until"]))
            self._check_budget(self.since, last["error"])

    def _check_budget(self, since: datetime, last: str) -> None:
        budget = self.plan.retry.budget
        if budget is not None and self.run.clock() > since + duration("budget=", budget):
            over = TimeoutError(f"no process was there before the budget was over; before: {last}")
            raise Failed(over, self.number - 1)

    async def _once(self, work: Work) -> object:
        where = Current(
            self.run.instance_id,
            self.place.key,
            self.number,
            idempotency_key(self.run.instance_id, self.place.key),
        )

        async def attempt() -> object:
            with entered(where):
                return await _contained(self._in_time(work))

        if self.plan.is_interruptible:
            return await self.run.interruptible(self.place, attempt)
        return await attempt()

    async def _in_time(self, work: Work) -> object:
        if self.plan.timeout is None:
            return await work()
        try:
            async with asyncio.timeout(self._limit()) as limit:
                return await work()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeoutError(
                f"the attempt took longer than timeout={self.plan.timeout!r}"
            ) from error

    def _limit(self) -> float:
        assert self.plan.timeout is not None
        return duration("timeout=", self.plan.timeout).total_seconds()

    async def _failed(self, error: Exception) -> None:
        """Record the failure and wait for the next attempt; raises Failed if there is none."""
        now = self.run.clock()
        since = self.since or now
        next_at = self._next(self.number, error, since, now)
        if next_at is None:
            raise Failed(error, self.number) from error
        logger.warning(
            "%s: attempt %d of %d failed, the next is made in %.3g s: %s",
            self.place.key,
            self.number,
            self.plan.retry.attempts,
            max((next_at - now).total_seconds(), 0),
            _text(error),
        )
        await self._record(_text(error), since, next_at)
        await self._wait(next_at)

    def _next(
        self, number: int, error: Exception, since: datetime, now: datetime
    ) -> datetime | None:
        """When it is tried again; None: never."""
        is_late = self.plan.timeout is not None and is_a(error, TimeoutError)
        is_answer = is_a(error, *self.plan.raises)
        if is_answer or not (is_late or self.plan.retry.takes(error)):
            return None
        return self.plan.retry.next_attempt(number, error, since, now)

    async def _record(self, error: str, since: datetime, until: datetime) -> None:
        """Count an attempt, for the runs after this one; and for people, as the core does."""
        said = {"since": since.isoformat(), "until": until.isoformat(), "error": error}
        await self._save(f"failed#{self.number}", Kind.ATTEMPT, said)
        number = self.number
        await self.run.reach(lambda: self.run.journal.attempt_failed(self.place.key, number, error))
        self.since = since
        self.number += 1

    async def _wait(self, until: datetime) -> None:
        """Wait for the next attempt, in another process if that takes long."""
        if until > self.run.clock():
            key = self.place.beside(f"failed#{self.number - 1}")
            await self.run.wait(self.place, self.run.waiting(until, key=key), self.place.key)

    async def _intend(self) -> None:
        if self.plan.is_external:
            now = self.run.clock().isoformat()
            await self._save(f"intent#{self.number}", Kind.INTENT, now)

    async def _doubted(self) -> object:
        """Find out about an attempt that a crash left open; NotDone: make it (again)."""
        if await self.run.beside(self.place, f"intent#{self.number}") is None:
            return NotDone()
        if self.ask is not None:
            return await self._asked(self.ask)
        return NotDone() if self.plan.doubt is Doubt.AGAIN else await self._decided()

    async def _asked(self, ask: Work) -> object:
        """Ask, again as the step is tried again; when all that has failed, a person."""
        since = self.run.clock()
        for number in count(1):
            try:
                return await self._once(ask)
            except Exception as error:
                now = self.run.clock()
                until = self._next(number, error, since, now)
                logger.warning("%s: its in_doubt failed: %s", self.place.key, _text(error))
            if until is None:
                break
            await self._rest(until)
        return await self._decided()

    async def _decided(self) -> object:
        """Wait for a person to say what became of the effect."""
        for number in count(1):
            again = "" if number == 1 else f".{number}"
            name = self.place.beside(f"decision#{self.number}{again}")
            logger.warning(
                "%s may have happened before a crash: find out, then send the custom signal %r to"
                ' instance %r, with {"done": RESULT} or {"again": true}',
                self.place.key,
                name,
                self.run.instance_id,
            )
            said = await self._said(name)
            try:
                return await self._obeyed(said)
            except ValueError as error:
                logger.warning("%s was sent %r, which decides nothing: %s", name, said, error)
        raise AssertionError("counting has no end")

    async def _obeyed(self, said: bytes) -> object:
        """Do as a person said; raises ValueError for what says nothing."""
        match json.loads(said):
            case {"done": result, **others} if not others:
                try:
                    return self.given(json.dumps(result).encode())
                except StateUnreadable as error:
                    raise ValueError(str(error.__cause__ or error)) from error
            case {"again": True, **others} if not others:
                now = self.run.clock()
                # Counted, or the next crash would be taken for the one that was decided about.
                await self._record("in doubt after a crash: made again", self.since or now, now)
                return NotDone()
        raise ValueError('it is neither {"done": RESULT} nor {"again": true}')

    async def _said(self, name: str) -> bytes:
        """Wait for what is sent; what strikes meanwhile strikes when the doubt is settled."""
        while True:
            wait = self.run.waiting(is_open=True)
            with self.run.ears.promised(name, wait):
                struck = await self.run.linger(self.place, wait)
            if struck is None:
                return self.run.ears.value(name)

    async def _rest(self, until: datetime) -> None:
        """Wait until then; what strikes meanwhile strikes when the doubt is settled."""
        while self.run.clock() < until:
            await self.run.linger(self.place, self.run.waiting(until))

    async def _save(self, what: str, kind: Kind, value: object) -> None:
        entry = self.place.entry(kind, json.dumps(value).encode())
        await self.run.save(self.place.beside(what), entry)


async def _contained(work: Awaitable[object]) -> object:
    """Do the work; to leave the process or be cancelled from inside it is a failure like others."""
    task = asyncio.current_task()
    assert task is not None
    try:
        return await work
    except asyncio.CancelledError as error:
        if task.cancelling():
            raise
        raise RuntimeError(
            f"something that the step awaited was cancelled: {text_of(error)}"
        ) from error
    except SystemExit as error:
        raise RuntimeError(
            f"a step can't end the process: it called sys.exit({text_of(error)})"
        ) from error
    except (Exception, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        # `except Exception` would let it by, and the effect would be done again by a replay.
        raise RuntimeError(
            f"the step raised a {type_name(error)}, which is no Exception: {text_of(error)}"
        ) from error


def _text(error: Exception) -> str:
    return readable(f"{type_name(error)}: {text_of(error)}"[:1000])

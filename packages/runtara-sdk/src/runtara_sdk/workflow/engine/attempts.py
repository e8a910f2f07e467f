"""The attempts of one live step, whose number survives crashes."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, NoReturn

from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.duration import duration
from runtara_sdk.workflow.engine.calls import Current, DurableCall, entered, idempotency_key
from runtara_sdk.workflow.engine.execution import Execution
from runtara_sdk.workflow.engine.observer import AttemptFailed, StepBegun
from runtara_sdk.workflow.engine.options import NotDone, OnDoubt, StepOptions
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.errors import NotSaveable, StateUnreadable
from runtara_sdk.workflow.user_objects import is_a, text_of, type_name
from runtara_sdk.workflow.values.tracebacks import readable

logger = get_logger(__name__)

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
    Makes the attempts at one step until one succeeds or none is left.

    `ask` asks what became of an effect, None if nobody can be asked; `given` reads a result that a
    person gave as JSON. `result` and `failure` write the record of what came of the attempts.
    """

    execution: Execution
    call: DurableCall
    plan: StepOptions
    work: Work
    given: Callable[[bytes], object]
    result: Callable[[object], Awaitable[Record]]
    failure: Callable[[Exception, int], Record]
    ask: Work | None = None
    number: int = 1
    since: datetime | None = None

    async def run(self, at_end: Callable[[], None]) -> Record:
        """Give what is to be recorded of the step; raises what cancels it. Calls `at_end` then."""
        try:
            await self._recall()
            found = await self._doubted() if self.plan.is_external else NotDone()
            while isinstance(found, NotDone):
                await self.execution.cancellation.check(self.call)
                await self._intend()
                if self.execution.observe is not None:
                    self.execution.observe(StepBegun(self.call.key, self.number))
                try:
                    if self.plan.is_interruptible:
                        found = await self.execution.cancellation.interruptible(
                            self.call, self._once
                        )
                    else:
                        found = await self._once()
                except Exception as error:
                    await self._failed(error)
        except Failed as failed:
            return self.failure(failed.error, failed.attempts)
        finally:
            at_end()
        try:
            record = await self.result(found)
            record.check_size()
        except NotSaveable as lost:
            # A failure, for the work is done, and to be done again only by an operator's word.
            return self.failure(lost, self.number)
        return record

    async def _recall(self) -> None:
        """Go on counting, and waiting, where a process before this one stopped."""
        last = None
        while (
            record := await self.execution.recorder.recorded_under(
                self.call, f"failed#{self.number}"
            )
        ) is not None:
            last = json.loads(record.value)
            self.number += 1
        if last is None:
            return
        self.since = datetime.fromisoformat(last["since"])
        if await self.execution.recorder.recorded_under(self.call, f"intent#{self.number}") is None:
            await self._wait(datetime.fromisoformat(last["until"]))
            self._check_budget(self.since, last["error"])

    def _check_budget(self, since: datetime, last: str) -> None:
        budget = self.plan.retry.budget
        if budget is not None and self.execution.clock() > since + duration("budget=", budget):
            over = TimeoutError(f"no process was there before the budget was over; before: {last}")
            raise Failed(over, self.number - 1)

    async def _once(self, work: Work | None = None) -> object:
        """Make one attempt: within its time, and with all that it raises made an Exception."""
        task = asyncio.current_task()
        assert task is not None
        instance_id, key = self.execution.instance_id, self.call.key
        own = idempotency_key(instance_id, key)
        limit = asyncio.timeout(self._limit())
        try:
            with entered(Current(instance_id, key, self.number, own)):
                async with limit:
                    return await (work or self.work)()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeoutError(
                f"the attempt took longer than timeout={self.plan.timeout!r}"
            ) from error
        except BaseException as error:
            raise_contained(task, error)

    def _limit(self) -> float | None:
        if self.plan.timeout is None:
            return None
        return duration("timeout=", self.plan.timeout).total_seconds()

    async def _failed(self, error: Exception) -> None:
        """Record the failure and wait for the next attempt; raises Failed if there is none."""
        now = self.execution.clock()
        since = self.since or now
        next_at = self._next(self.number, error, since, now)
        if self.execution.observe is not None:
            self.execution.observe(AttemptFailed(self.call.key, self.number, error, next_at))
        if next_at is None:
            raise Failed(error, self.number) from error
        logger.warning(
            "%s: attempt %d of %d failed, the next is made in %.3g s: %s",
            self.call.key,
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
        await self.execution.end.call_core(
            lambda: self.execution.store.attempt_failed(self.call.key, number, error)
        )
        self.since = since
        self.number += 1

    async def _wait(self, until: datetime) -> None:
        """Wait for the next attempt, in another process if that takes long."""
        if until > self.execution.clock():
            key = self.call.subkey(f"failed#{self.number - 1}")
            await self.execution.cancellation.wait(
                self.call, self.execution.live.new_wait(until, key=key), self.call.key
            )

    async def _intend(self) -> None:
        if self.plan.is_external:
            now = self.execution.clock().isoformat()
            await self._save(f"intent#{self.number}", Kind.INTENT, now)

    async def _doubted(self) -> object:
        """Find out about an attempt that a crash left open; NotDone: make it (again)."""
        if await self.execution.recorder.recorded_under(self.call, f"intent#{self.number}") is None:
            return NotDone()
        if self.ask is not None:
            return await self._asked(self.ask)
        return NotDone() if self.plan.doubt is OnDoubt.AGAIN else await self._decided()

    async def _asked(self, ask: Work) -> object:
        """Ask, again as the step is tried again; when all that has failed, a person."""
        since = self.execution.clock()
        for number in count(1):
            try:
                return await self._ask_once(ask)
            except Exception as error:
                now = self.execution.clock()
                until = self._next(number, error, since, now)
                logger.warning("%s: its in_doubt failed: %s", self.call.key, _text(error))
            if until is None:
                break
            await self._rest(until)
        return await self._decided()

    async def _ask_once(self, ask: Work) -> object:
        if self.plan.is_interruptible:
            cancellation = self.execution.cancellation
            return await cancellation.interruptible(self.call, lambda: self._once(ask))
        return await self._once(ask)

    async def _decided(self) -> object:
        """Wait for a person to say what became of the effect."""
        for number in count(1):
            again = "" if number == 1 else f".{number}"
            name = self.call.subkey(f"decision#{self.number}{again}")
            logger.warning(
                "%s may have happened before a crash: find out, then send the custom signal %r to"
                ' instance %r, with {"done": RESULT} or {"again": true}',
                self.call.key,
                name,
                self.execution.instance_id,
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
                now = self.execution.clock()
                # Counted, or the next crash would be taken for the one that was decided about.
                await self._record("in doubt after a crash: made again", self.since or now, now)
                return NotDone()
        raise ValueError('it is neither {"done": RESULT} nor {"again": true}')

    async def _said(self, name: str) -> bytes:
        """Wait for what is sent; what strikes meanwhile strikes when the doubt is settled."""
        while True:
            wait = self.execution.live.new_wait(is_open=True)
            with self.execution.inbox.expecting(name, wait):
                struck = await self.execution.live.wait(self.call, wait)
            if struck is None:
                return self.execution.inbox.value(name)

    async def _rest(self, until: datetime) -> None:
        """Wait until then; what strikes meanwhile strikes when the doubt is settled."""
        while self.execution.clock() < until:
            await self.execution.live.wait(self.call, self.execution.live.new_wait(until))

    async def _save(self, what: str, kind: Kind, value: object) -> None:
        record = self.call.record(kind, json.dumps(value).encode())
        await self.execution.recorder.record(self.call.subkey(what), record)


def raise_contained(task: "asyncio.Task[Any]", error: BaseException) -> NoReturn:
    """Raise it; to leave the process or be cancelled from inside is a failure like others."""
    if is_a(error, asyncio.CancelledError):
        if task.cancelling():
            raise error
        text = f"something that the step awaited was cancelled: {text_of(error)}"
    elif is_a(error, SystemExit):
        text = f"a step can't end the process: it called sys.exit({text_of(error)})"
    elif is_a(error, Exception, KeyboardInterrupt, GeneratorExit):
        raise error
    else:
        # `except Exception` would let it by, and the effect would be done again by a replay.
        text = f"the step raised a {type_name(error)}, which is no Exception: {text_of(error)}"
    raise RuntimeError(text) from error


def _text(error: Exception) -> str:
    return readable(f"{type_name(error)}: {text_of(error)}"[:1000])

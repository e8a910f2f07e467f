"""
Attempts: the attempts of one live step, whose number survives crashes.

The records of a step, in this order:

    key!intent#1  an attempt at an external effect is about to be made
    key!failed#1  the attempt has failed, and the next one is made at this moment
    key!intent#2  and so on
    key           the result, or the final failure

A run that finds `failed#n` goes on with attempt n + 1, and waits for its moment. A run that finds
`intent#n` and nothing after it has an effect in doubt (`in_doubt.py`). A step without an external
effect saves no intents: an attempt that a crash cut off is made again, under the same number.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.duration import duration
from runtara_sdk.workflow.engine.calls import Attempt, DurableCall, entered
from runtara_sdk.workflow.engine.execution import Execution
from runtara_sdk.workflow.engine.in_doubt import InDoubt, brief
from runtara_sdk.workflow.engine.observer import AttemptFailed, StepBegun
from runtara_sdk.workflow.engine.options import NotDone, OnDoubt, StepOptions
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.errors import NotSerializable
from runtara_sdk.workflow.user_objects import is_a, text_of, type_name

logger = get_logger(__name__)

Work = Callable[[], Awaitable[Any]]


class _Failed(Exception):
    """The last attempt has failed; arguments: its number, and its error."""


@dataclass(slots=True)
class Attempts:
    """
    Makes the attempts at one step until one succeeds or none is left.

    `ask` calls the `in_doubt` function; None if the step has none. `read` reads a result that an
    operator sent as JSON. `result` and `failure` write the record of the outcome.
    """

    execution: Execution
    call: DurableCall
    options: StepOptions
    work: Work
    read: Callable[[bytes], object]
    result: Callable[[object], Awaitable[Record]]
    failure: Callable[[Exception, int], Record]
    ask: Work | None = None
    number: int = 1
    since: datetime | None = None

    async def run(self, at_end: Callable[[], None]) -> Record:
        """Return the record of the step's outcome; raises CallCancelled. Then calls `at_end`."""
        recorder = self.execution.recorder
        try:
            is_new = recorder.is_new(self.call)
            # The record of an intent brings what is owed.
            if not (is_new and self.options.is_external):
                await recorder.save_owed_outcomes()
            if not is_new:
                await self._recall()
            found = await self._resolve_doubt() if self.options.is_external else NotDone()
            while isinstance(found, NotDone):
                await self.execution.cancellation.check(self.call)
                if self.execution.departure.is_asked:
                    await self.execution.departure.block_if_leaving(self.call)
                if self.options.is_external:
                    await self._intend()
                if self.execution.observe is not None:
                    self.execution.observe(StepBegun(self.call.key, self.number))
                try:
                    found = await self._attempt(self.work)
                except Exception as error:
                    await self._failed(error)
        except _Failed as failed:
            attempts, last = failed.args
            return self.failure(last, attempts)
        finally:
            at_end()
        try:
            record = await self.result(found)
            record.check_size()
        except NotSerializable as lost:
            # A failure: the work is done, and only an operator may repeat it.
            return self.failure(lost, self.number)
        return record

    async def _recall(self) -> None:
        """Go on with the number and the wait at which an earlier process stopped."""
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
            await self._wait(datetime.fromisoformat(last["until"]), last["error"])
            self._check_budget(self.since, last["error"])

    def _check_budget(self, since: datetime, last: str) -> None:
        budget = self.options.retry.budget
        if budget is not None and self.execution.clock() > since + duration("budget=", budget):
            over = TimeoutError(f"no process ran before the budget was over; last failure: {last}")
            raise _Failed(self.number - 1, over)

    def _attempt(self, work: Work) -> Awaitable[object]:
        """Make one attempt, which a scope may end if the step can be interrupted."""
        cancellation = self.execution.cancellation
        if self.options.is_interruptible:
            return cancellation.interruptible(self.call, lambda: self._once(work))
        return cancellation.uninterruptible(self.call, lambda: self._once(work))

    async def _once(self, work: Work) -> object:
        """Make one attempt, with its timeout; every error of it becomes an Exception."""
        limit = self._limit()
        try:
            with entered(Attempt(self.execution.instance_id, self.call.key, self.number)):
                if limit is None:
                    return await work()
                async with limit:
                    return await work()
        except TimeoutError as error:
            if limit is None or not limit.expired():
                raise
            raise TimeoutError(
                f"the attempt took longer than timeout={self.options.timeout!r}"
            ) from error
        except BaseException as error:
            raise_contained(error)

    def _limit(self) -> asyncio.Timeout | None:
        if self.options.timeout is None:
            return None
        return asyncio.timeout(duration("timeout=", self.options.timeout).total_seconds())

    async def _failed(self, error: Exception) -> None:
        """Record the failure and wait for the next attempt; raises _Failed if there is none."""
        now = self.execution.clock()
        since = self.since or now
        next_at = self._next(self.number, error, since, now)
        if self.execution.observe is not None:
            self.execution.observe(AttemptFailed(self.call.key, self.number, error, next_at))
        if next_at is None:
            raise _Failed(self.number, error) from error
        logger.warning(
            "%s: attempt %d of %d failed, the next is made in %.3g s: %s",
            self.call.key,
            self.number,
            self.options.retry.attempts,
            max((next_at - now).total_seconds(), 0),
            brief(error),
        )
        await self._count(brief(error), since, next_at)
        await self._wait(next_at, brief(error))

    def _next(
        self, number: int, error: Exception, since: datetime, now: datetime
    ) -> datetime | None:
        """Return when the next attempt is made; None: never."""
        is_late = self.options.timeout is not None and is_a(error, TimeoutError)
        is_answer = is_a(error, *self.options.raises)
        if is_answer or not (is_late or self.options.retry.takes(error)):
            return None
        return self.options.retry.next_attempt(number, error, since, now)

    async def _count(self, error: str, since: datetime, until: datetime) -> None:
        """Record an attempt, for later runs, and in the core for operators."""
        said = {"since": since.isoformat(), "until": until.isoformat(), "error": error}
        await self._save(f"failed#{self.number}", Kind.ATTEMPT, said)
        number = self.number
        await self.execution.end.call_core(
            lambda: self.execution.store.attempt_failed(self.call.key, number, error)
        )
        self.since = since
        self.number += 1

    async def _wait(self, until: datetime, reason: str) -> None:
        """Wait for the next attempt, in another process if that takes long."""
        if until > self.execution.clock():
            key = self.call.subkey(f"failed#{self.number - 1}")
            wait = self.execution.live.new_wait(until, key=key, reason=reason)
            await self.execution.cancellation.wait(self.call, wait)

    async def _intend(self) -> None:
        now = self.execution.clock().isoformat()
        await self._save(f"intent#{self.number}", Kind.INTENT, now)

    async def _resolve_doubt(self) -> object:
        """Settle an attempt that a crash left open; NotDone: make it again."""
        if await self.execution.recorder.recorded_under(self.call, f"intent#{self.number}") is None:
            return NotDone()
        doubt = InDoubt(
            self.execution, self.call, self.number, self.read, self._next, self._count_doubted
        )
        ask = self.ask
        if ask is not None:
            return await doubt.ask_function(lambda: self._attempt(ask))
        return NotDone() if self.options.doubt is OnDoubt.AGAIN else await doubt.ask_operator()

    async def _count_doubted(self) -> None:
        now = self.execution.clock()
        await self._count("in doubt after a crash: made again", self.since or now, now)

    async def _save(self, what: str, kind: Kind, value: object) -> None:
        record = self.call.record(kind, json.dumps(value).encode())
        await self.execution.recorder.record(self.call.subkey(what), record)


def raise_contained(error: BaseException) -> NoReturn:
    """Raise the error; SystemExit and a CancelledError of the step are failures like others."""
    if is_a(error, asyncio.CancelledError):
        task = asyncio.current_task()
        assert task is not None
        if task.cancelling():
            raise error
        text = f"something that the step awaited was cancelled: {text_of(error)}"
    elif is_a(error, SystemExit):
        text = f"a step can't end the process: it called sys.exit({text_of(error)})"
    elif is_a(error, Exception, KeyboardInterrupt, GeneratorExit):
        raise error
    else:
        # `except Exception` would not catch it, and a replay would repeat the effect.
        text = f"the step raised a {type_name(error)}, which is no Exception: {text_of(error)}"
    raise RuntimeError(text) from error

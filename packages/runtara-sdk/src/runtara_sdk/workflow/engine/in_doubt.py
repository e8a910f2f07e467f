"""
Effects in doubt: a crash has left an attempt open, and its effect may have happened or not.

The step's `in_doubt` function is called, and after errors again, with the step's own retries. If it
gives no answer, or the step has none, an operator decides by a custom signal. A cancellation is
deferred until the doubt is settled: only then can clean-up code know which effects to undo.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.engine.calls import DurableCall
from runtara_sdk.workflow.engine.execution import Execution
from runtara_sdk.workflow.engine.options import NotDone
from runtara_sdk.workflow.errors import StateUnreadable
from runtara_sdk.workflow.user_objects import text_of, type_name
from runtara_sdk.workflow.values.tracebacks import storable

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class InDoubt:
    """
    Finds out the outcome of attempt `number`: its result, or NotDone if it must be made again.

    `read` reads a result sent as JSON. `next_ask` returns when to call the function again after an
    error; None: no more. `count_attempt` counts the attempt as failed.
    """

    execution: Execution
    call: DurableCall
    number: int
    read: Callable[[bytes], object]
    next_ask: Callable[[int, Exception, datetime, datetime], datetime | None]
    count_attempt: Callable[[], Awaitable[None]]

    async def ask_function(self, ask: Callable[[], Awaitable[object]]) -> object:
        """Return the function's answer, or the operator's if the function fails for good."""
        since = self.execution.clock()
        for number in count(1):
            try:
                return await ask()
            except Exception as error:
                until = self.next_ask(number, error, since, self.execution.clock())
                logger.warning("%s: its in_doubt failed: %s", self.call.key, brief(error))
            if until is None:
                break
            while self.execution.clock() < until:
                await self.execution.live.wait(self.call, self.execution.live.new_wait(until))
        return await self.ask_operator()

    async def ask_operator(self) -> object:
        """Wait for a signal with a decision on the effect; signals without one are logged."""
        number = 1
        while True:
            again = "" if number == 1 else f".{number}"
            name = self.call.subkey(f"decision#{self.number}{again}")
            logger.warning(
                "%s may have happened before a crash: find out, then send the custom signal %r to"
                ' instance %r, with {"done": RESULT} or {"again": true}',
                *(self.call.key, name, self.execution.instance_id),
            )
            sent = await self._receive(name)
            try:
                return await self._apply(sent)
            except ValueError as error:
                logger.warning("%s was sent %r, which decides nothing: %s", name, sent, error)
            number += 1

    async def _apply(self, sent: bytes) -> object:
        """Apply the operator's decision; raises ValueError for a payload without one."""
        match json.loads(sent):
            case {"done": result, **others} if not others:
                try:
                    return self.read(json.dumps(result).encode())
                except StateUnreadable as error:
                    raise ValueError(str(error.__cause__ or error)) from error
            case {"again": True, **others} if not others:
                # Counted: otherwise the decision would also apply to the next crash.
                await self.count_attempt()
                return NotDone()
        raise ValueError('it is neither {"done": RESULT} nor {"again": true}')

    async def _receive(self, name: str) -> bytes:
        """Wait for a custom signal; cancellation is deferred until the doubt is settled."""
        while True:
            wait = self.execution.live.new_wait(is_open=True)
            with self.execution.inbox.expecting(name, wait):
                if await self.execution.live.wait(self.call, wait) is None:
                    return self.execution.inbox.value(name)


def brief(error: Exception) -> str:
    """An error in one line, for logs and records."""
    return storable(f"{type_name(error)}: {text_of(error)}"[:1000])

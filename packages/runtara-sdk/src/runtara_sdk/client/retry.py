"""How long a client repeats its calls, after which failures, and what it logs meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass

from runtara_sdk.errors import DatabaseFailed, Overloaded, RequestReset, RuntaraError, ShuttingDown

NOT_CARRIED_OUT = (Overloaded, ShuttingDown)
"""Refusals by which the server says that it did nothing: any request may be sent again."""

TRANSIENT = (*NOT_CARRIED_OUT, DatabaseFailed, RequestReset)
"""Failures that may not come a second time; a server that shuts down late resets requests."""


@dataclass(frozen=True, slots=True)
class Retry:
    """
    What one client does about failures; without a connection it always tries to open one again.

    `timeout`: seconds that a call may take, all its repeats included. `transient`: failures after
    which a repeatable call is sent again. `caller` and `afterwards` are parts of the warning about
    an outage, which is logged at most once in `log_every` seconds. `translate` takes the error that
    ends a call and the timeout in seconds, and returns the error to raise.
    """

    timeout: float
    transient: tuple[type[RuntaraError], ...] = TRANSIENT
    caller: str = "this client"
    afterwards: str = ""
    log_every: float = 30.0
    translate: Callable[[RuntaraError, float], RuntaraError] = lambda error, timeout: error

"""How long a client's calls are asked again, after which failures, and what is said meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass

from runtara_sdk.errors import DatabaseFailed, Overloaded, RequestReset, RuntaraError, ShuttingDown

NOT_CARRIED_OUT = (Overloaded, ShuttingDown)
"""Refusals by which the server says that it did nothing: whatever was asked may be asked again."""

TRANSIENT = (*NOT_CARRIED_OUT, DatabaseFailed, RequestReset)
"""Failures that may not come a second time; a server out of time to end gives requests up."""


@dataclass(frozen=True, slots=True)
class Retry:
    """
    What one client does about failures; a lost or missing connection is always one to try again.

    `timeout`: seconds that a call may take, all its repeats included. `transient`: failures after
    which a call is repeated, if carried out twice is as good as once. `caller` and `afterwards` are
    words of the warning that an outage is logged with, at most once in `log_every` seconds.
    `translate` gives the error to raise for one that ends a call, and for its timeout in seconds.
    """

    timeout: float
    transient: tuple[type[RuntaraError], ...] = TRANSIENT
    caller: str = "this client"
    afterwards: str = ""
    log_every: float = 30.0
    translate: Callable[[RuntaraError, float], RuntaraError] = lambda error, timeout: error

"""The warnings that a client logs while the core does not serve it."""

from datetime import timedelta
from time import monotonic

from runtara_sdk.client.retry import Retry
from runtara_sdk.errors import RuntaraError
from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)


class OutageLog:
    """Logs an outage at intervals, however many calls wait for the end of the outage."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._logged_at: float | None = None

    def failed(self, error: RuntaraError, left: float) -> None:
        """Log why a call failed and for how many seconds it is repeated, once an interval."""
        now = monotonic()
        if self._logged_at is not None and now < self._logged_at + self._retry.log_every:
            return
        self._logged_at = now
        logger.warning(
            "the core can't serve %s now: %s; trying again for %s more%s",
            self._retry.caller,
            error,
            timedelta(seconds=round(left)),
            self._retry.afterwards,
        )

"""The PostgreSQL adapter as a whole, and its lifetime."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runtara_migrations import location
from runtara_persistence.nouns import SHARED, Noun
from runtara_persistence.postgres.database import Database

if TYPE_CHECKING:
    from runtara_persistence.postgres.checkpoints import PostgresCheckpoints
    from runtara_persistence.postgres.claims import PostgresClaims
    from runtara_persistence.postgres.events import PostgresEvents
    from runtara_persistence.postgres.instances import PostgresInstances
    from runtara_persistence.postgres.launches import PostgresLaunches
    from runtara_persistence.postgres.signals import PostgresSignals
    from runtara_persistence.transactions.environments import EnvironmentTransactions
    from runtara_persistence.transactions.images import ImageTransactions
    from runtara_persistence.transactions.limits import LimitTransactions
    from runtara_persistence.transactions.schedules import ScheduleTransactions


class PostgresPersistence:
    """
    Storage in a PostgreSQL database, which any number of servers may share.

    Fits `runtara_domain.ports.persistence.Persistence`. url: in the form that
    `runtara_migrations.location` takes; raises InvalidLocation for another. migrates: whether
    opening brings the schema up to date; otherwise opening raises DatabaseError if the schema lacks
    a migration. pool_size: the most connections; an open watch takes one more. patience: seconds
    within which a step is begun, and repeated where that is safe. step_timeout: seconds that a
    statement may take.
    """

    instances: Noun[PostgresInstances] = Noun("PostgresInstances")
    checkpoints: Noun[PostgresCheckpoints] = Noun("PostgresCheckpoints")
    claims: Noun[PostgresClaims] = Noun("PostgresClaims")
    events: Noun[PostgresEvents] = Noun("PostgresEvents")
    signals: Noun[PostgresSignals] = Noun("PostgresSignals")
    images: Noun[ImageTransactions] = Noun("ImageTransactions", SHARED)
    launches: Noun[PostgresLaunches] = Noun("PostgresLaunches")
    environments: Noun[EnvironmentTransactions] = Noun("EnvironmentTransactions", SHARED)
    limits: Noun[LimitTransactions] = Noun("LimitTransactions", SHARED)
    schedules: Noun[ScheduleTransactions] = Noun("ScheduleTransactions", SHARED)

    def __init__(
        self,
        url: str,
        *,
        migrates: bool = False,
        pool_size: int = 10,
        patience: float = 5.0,
        step_timeout: float = 10.0,
    ) -> None:
        place = location.parse(url)
        if not isinstance(place, location.PostgresLocation):
            raise location.InvalidLocation(f"database URL: {location.TAKES}")
        self._database = Database(
            place,
            migrates=migrates,
            pool_size=pool_size,
            patience=patience,
            step_timeout=step_timeout,
        )
        self._lifetime = AsyncExitStack()

    async def check(self) -> None:
        await self._database.read("check the database", "SELECT FROM instances LIMIT 1")

    def watch(
        self,
        changed: Callable[[Collection[str] | None], None],
        *,
        launchable: Callable[[], None] | None = None,
    ) -> AbstractAsyncContextManager[None]:
        from runtara_persistence.postgres.watch import watching

        return watching(self._database, changed, launchable)

    async def __aenter__(self) -> Self:
        await self._lifetime.enter_async_context(self._database.opened())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._lifetime.__aexit__(kind, error, traceback)

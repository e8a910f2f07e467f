"""A worker on the core in this process: the engine of launches, and where its launches run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version

from runtara.core import OpenRuns, Plan
from runtara.embedded import scheduling
from runtara.embedded.core import EmbeddedCore
from runtara.embedded.placement import InlinePlacement
from runtara.identity import machine, worker_id
from runtara_domain.launching.crashes import CrashPolicy
from runtara_domain.launching.launcher import Launcher, LauncherSettings
from runtara_domain.launching.lease import LeaseTimes
from runtara_domain.model.environments import NewEnvironment
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_domain.model.stored_images import LOCAL
from runtara_schedules import CronCalendar

_LEASE = LeaseTimes(
    ttl=timedelta(seconds=10),
    every=timedelta(seconds=3),
    steady=timedelta(seconds=10),
)


@asynccontextmanager
async def serving(
    embedded: EmbeddedCore, database_url: str, plan: Plan, runs: OpenRuns
) -> AsyncIterator[None]:
    """Serve while the block lasts; hand over at its end."""
    with worker_id(database_url) as environment_id:
        environment = NewEnvironment(
            environment_id=environment_id,
            machine=machine(),
            version=version("runtara"),
            capacity=plan.capacity,
            kind=EnvironmentKind.WORKER,
            tenant_id=plan.tenant_id,
            workflows=plan.workflows,
        )
        placement = InlinePlacement(embedded.operations.endings.tell)
        launcher = Launcher(
            embedded.persistence,
            embedded.clock,
            {LOCAL: placement},
            LauncherSettings(
                environment=environment,
                lease=_LEASE,
                shutdown_grace=plan.grace,
                crashes=CrashPolicy(maximum=plan.max_crashes),
            ),
            CronCalendar(),
        )
        async with runs(placement.tell) as placement.runs, launcher:
            await scheduling.declare(embedded, launcher, plan)
            embedded.launchers.append(launcher)
            try:
                yield
            finally:
                embedded.launchers.remove(launcher)

"""Builds an environment from its parts; nothing is opened here."""

import asyncio
import logging
import shlex
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path

from dependency_injector import containers, providers

from runtara_domain.launching.attention import Patience
from runtara_domain.launching.crashes import CrashPolicy
from runtara_domain.launching.launcher import Launcher, LauncherSettings
from runtara_domain.launching.lease import LeaseTimes
from runtara_domain.model.environments import NewEnvironment
from runtara_domain.model.stored_images import LOCAL, Image
from runtara_domain.model.stored_launches import Launch
from runtara_domain.ports.persistence import Persistence
from runtara_domain.ports.placements import KeepsFolders, KeepsLogs, LogPiece, Placement
from runtara_domain.system_clock import SystemClock
from runtara_environment.config import EnvironmentSettings
from runtara_environment.housekeeping import Housekeeping
from runtara_environment.identity import Identity
from runtara_environment.images.validation import check_image
from runtara_environment.management import Management
from runtara_environment.operations import OPERATIONS, ManagementRouter
from runtara_environment.placements.local import LocalPlacement, LocalSettings
from runtara_environment.placements.ray_cluster.placement import RAY, RayPlacement, RaySettings
from runtara_environment.placements.ray_cluster.wire import AgentSetup
from runtara_environment.placements.registry import PlacementSetup, other_placements
from runtara_environment.placements.slurm_cluster.commands import Slurm
from runtara_environment.placements.slurm_cluster.placement import (
    SLURM,
    SlurmPlacement,
    SlurmSettings,
)
from runtara_environment.placements.sweeping import forget
from runtara_environment.runners.registry import runners, without_containers
from runtara_migrations import location
from runtara_persistence.connect import backend, postgres, sqlite
from runtara_protocol.server.router import Router
from runtara_schedules import CronCalendar

logger = logging.getLogger(__name__)

VERSION = version("runtara-environment")


@dataclass(frozen=True, slots=True)
class CoreAddress:
    """The core's address for launched processes, and the authority of its certificate."""

    addr: str
    tls_ca: Path | None


def _local_settings(settings: EnvironmentSettings, core: CoreAddress) -> LocalSettings:
    return LocalSettings(
        data_dir=settings.data_dir.absolute(),
        core_addr=core.addr,
        server_name=settings.server_name,
        tls_ca=core.tls_ca,
        skip_cert_verification=settings.skip_cert_verification,
        max_log_bytes=settings.log_max_bytes,
        warm_images=settings.warm_images,
        prepared_processes=settings.prepared_processes,
    )


def _launcher_settings(settings: EnvironmentSettings, identity: Identity) -> LauncherSettings:
    return LauncherSettings(
        environment=NewEnvironment(
            environment_id=identity.environment_id,
            machine=identity.machine,
            boot_id=identity.boot_id,
            version=VERSION,
            capacity=settings.env_capacity,
        ),
        tenant_limit=settings.tenant_max_instances,
        patience=Patience(silence=timedelta(seconds=settings.silence_s)),
        crashes=CrashPolicy(maximum=settings.max_crashes),
        lease=LeaseTimes.lasting(timedelta(seconds=settings.lease_s)),
        shutdown_grace=timedelta(milliseconds=settings.shutdown_grace_ms),
        leaves_processes=settings.env_leave,
    )


def _placements(
    local: LocalPlacement,
    persistence: Persistence,
    settings: EnvironmentSettings,
    identity: Identity,
    core: CoreAddress,
) -> dict[str, Placement]:
    found: dict[str, Placement] = {LOCAL: local}
    if settings.ray_address is not None:
        found[RAY] = RayPlacement(persistence, _ray_settings(settings, identity, core))
    if settings.slurm_data_dir is not None:
        found[SLURM] = SlurmPlacement(
            persistence,
            without_containers(local.runners),
            SlurmSettings(
                environment_id=identity.environment_id,
                local=replace(local.settings, data_dir=settings.slurm_data_dir.absolute()),
                slurm=Slurm(shlex.split(settings.slurm_options or "")),
            ),
        )
    setup = PlacementSetup(
        environment_id=identity.environment_id,
        persistence=persistence,
        runners=local.runners,
        local=local.settings,
    )
    return {**found, **other_placements(setup)}


def _ray_settings(
    settings: EnvironmentSettings, identity: Identity, core: CoreAddress
) -> RaySettings:
    assert settings.ray_address is not None, "asked for with a cluster only"
    agents = AgentSetup(
        environment_id=identity.environment_id,
        database_url=settings.database_url,
        data_dir=settings.ray_data_dir,
        core_addr=core.addr,
        server_name=settings.server_name,
        tls_ca_pem=None if core.tls_ca is None else core.tls_ca.read_text(),
        skip_cert_verification=settings.skip_cert_verification,
        max_log_bytes=settings.log_max_bytes,
        warm_images=settings.warm_images,
        prepared_processes=settings.prepared_processes,
        oci_runtime=settings.oci_runtime,
        retention=_retention(settings),
    )
    return RaySettings(address=settings.ray_address, agents=agents, own_ip=settings.ray_node_ip)


def _retention(settings: EnvironmentSettings) -> timedelta | None:
    return timedelta(days=settings.retention_days) if settings.retention_days else None


def _management(
    persistence: Persistence,
    launcher: Launcher,
    clock: SystemClock,
    settings: EnvironmentSettings,
    identity: Identity,
    local: LocalPlacement,
    placements: Mapping[str, Placement],
) -> Management:
    return Management(
        persistence=persistence,
        launcher=launcher,
        clock=clock,
        check_image=partial(check_image, local.runners),
        read_log=partial(_read_log, local, placements),
        forget_files=lambda tenant_id, instance_ids: forget(
            local.folder(tenant_id, one, "").instance for one in instance_ids
        ),
        obstacle=lambda image: _obstacle(image, local, placements),
        crashes=CrashPolicy(maximum=settings.max_crashes),
        version=VERSION,
        environment_id=identity.environment_id,
        image_max_bytes=settings.image_max_bytes,
        tenant_limit=settings.tenant_max_instances,
        has_core=settings.embed_core,
        began_at=clock.uptime(),
    )


async def _read_log(
    local: LocalPlacement,
    placements: Mapping[str, Placement],
    tenant_id: str,
    launch: Launch,
    offset: int,
    limit: int,
) -> LogPiece | None:
    ids = (tenant_id, launch.instance_id, launch.launch_id)
    placement = placements.get(launch.placement or LOCAL)
    if placement is local:
        return await asyncio.to_thread(local.folder(*ids).read_log, offset, limit)
    if isinstance(placement, KeepsLogs):
        return await placement.read_log(*ids, offset, limit)
    return None


async def _sweep(
    placements: Mapping[str, Placement],
    is_known: Callable[[str], Awaitable[bool]],
    older_than: timedelta | None,
) -> int:
    """
    Let all placements remove folders that are no longer needed; return how many.

    A placement's failure is logged, and does not stop the others. Raises DatabaseError.
    """
    removed = 0
    for name, placement in placements.items():
        if isinstance(placement, KeepsFolders):
            try:
                removed += await placement.sweep(is_known, older_than)
            except OSError as error:
                logger.warning("folders of the placement %r stay: %s", name, error)
    return removed


def _obstacle(
    image: Image, local: LocalPlacement, placements: Mapping[str, Placement]
) -> str | None:
    """Return why an image can't be run by this environment; None if it can."""
    placement = placements.get(image.placement)
    if placement is None:
        return f"there is no placement {image.placement!r} here"
    if placement is local:
        return local.obstacle(image)
    if placement.can_run(image):
        return None
    return f"the placement {image.placement!r} runs no {image.runner_type} images"


def _router(management: Management) -> ManagementRouter:
    # All of them now: no request waits for an import.
    return Router(replace(OPERATIONS, handlers=dict(OPERATIONS.handlers)), management)


class Container(containers.DeclarativeContainer):
    """Every part once, built when first asked for; `runtime` opens those with a lifetime."""

    settings = providers.Dependency(instance_of=EnvironmentSettings)
    identity = providers.Dependency(instance_of=Identity)
    core = providers.Dependency(instance_of=CoreAddress)
    clock = providers.Singleton(SystemClock)

    # An embedded core's takes its place.
    persistence = providers.Selector(
        providers.Callable(backend, settings.provided.database_url),
        postgres=providers.Singleton(
            postgres,
            settings.provided.database_url,
            migrates=True,
            pool_size=settings.provided.db_pool_size,
        ),
        sqlite=providers.Singleton(
            sqlite,
            providers.Callable(location.parse, settings.provided.database_url).provided.path,
        ),
    )
    placement = providers.Singleton(
        LocalPlacement,
        persistence.provided.images,
        providers.Singleton(runners, settings.provided.oci_runtime),
        providers.Callable(_local_settings, settings, core),
    )
    placements = providers.Singleton(_placements, placement, persistence, settings, identity, core)
    launcher = providers.Singleton(
        Launcher,
        persistence,
        clock,
        placements,
        providers.Callable(_launcher_settings, settings, identity),
        providers.Singleton(CronCalendar),
    )
    management = providers.Singleton(
        _management, persistence, launcher, clock, settings, identity, placement, placements
    )
    router = providers.Singleton(_router, management)
    housekeeping = providers.Singleton(
        Housekeeping,
        persistence,
        launcher,
        clock,
        providers.Callable(_retention, settings),
        providers.Callable(partial, _sweep, placements),
    )

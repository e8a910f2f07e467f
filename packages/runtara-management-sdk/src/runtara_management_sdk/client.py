"""The client: one connection to an environment, and groups of calls by their subject."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Self

from runtara_management_sdk.instances import Instances
from runtara_protocol.pb import environment_pb2 as pb

if TYPE_CHECKING:
    from types import TracebackType

    from runtara_management_sdk.answers import Asks
    from runtara_management_sdk.images import Images
    from runtara_management_sdk.launches import Launches
    from runtara_management_sdk.operations import Environments, Queues
    from runtara_management_sdk.operator_records import Granularity, Health, MetricsBucket
    from runtara_management_sdk.schedules import Schedules
    from runtara_management_sdk.settings import ManagementSettings
    from runtara_management_sdk.workers import Workers


class ManagementClient:
    """
    A client of an environment's management port, used in an `async with` block.

    It connects at the first call, and any number of tasks may use it at once. If the environment
    refuses a request, the call raises ServerError or a subclass. Other errors are ConnectionFailed,
    ServerNotTrusted, RequestTimeout and ProtocolError. If no settings are given, they are read from
    environment variables, and the constructor raises ConfigurationError if they can't be used.
    transport: sends the requests instead of a connection; settings are then not read.
    """

    def __init__(
        self, settings: ManagementSettings | None = None, *, transport: Asks | None = None
    ) -> None:
        self._transport = transport or _connection(settings)
        self.instances = Instances(self._transport)

    # The module of each noun is imported at first use: a command needs one or two of them.

    @cached_property
    def images(self) -> Images:
        """Versions of workflow code."""
        from runtara_management_sdk.images import Images

        return Images(self._transport)

    @cached_property
    def launches(self) -> Launches:
        """Processes that were started for instances."""
        from runtara_management_sdk.launches import Launches

        return Launches(self._transport)

    @cached_property
    def environments(self) -> Environments:
        """Environments and workers, and holds."""
        from runtara_management_sdk.operations import Environments

        return Environments(self._transport)

    @cached_property
    def queues(self) -> Queues:
        """Queues, and limits of open launches."""
        from runtara_management_sdk.operations import Queues

        return Queues(self._transport)

    @cached_property
    def schedules(self) -> Schedules:
        """Schedules that start instances."""
        from runtara_management_sdk.schedules import Schedules

        return Schedules(self._transport)

    @cached_property
    def workers(self) -> Workers:
        """What a worker asks an environment for."""
        from runtara_management_sdk.workers import Workers

        return Workers(self._transport)

    async def health(self) -> Health:
        """Return the environment's health, version, uptime and number of open launches."""
        answer = await self._transport.ask(pb.RpcRequest(health_check=pb.HealthCheckRequest()))
        uptime = timedelta(milliseconds=answer.uptime_ms)
        from runtara_management_sdk.operator_records import Health

        return Health(answer.healthy, answer.version, uptime, answer.active_instances)

    async def metrics(
        self,
        tenant_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        granularity: Granularity | None = None,
    ) -> Sequence[MetricsBucket]:
        """
        Return counts and durations of a tenant's finished instances, a bucket for each period.

        since: None stands for a day ago. until: None stands for now. granularity: None stands for
        hourly. Empty buckets are included.
        """
        from runtara_management_sdk import operations

        return await operations.metrics(self._transport, tenant_id, since, until, granularity)

    async def aclose(self) -> None:
        """Close the connection; calls under way raise."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _connection(settings: ManagementSettings | None) -> Asks:
    # Imported here: importing QUIC and TLS is slow, and another transport needs neither.
    from runtara_management_sdk.settings import ManagementSettings
    from runtara_management_sdk.transport import Transport

    return Transport(settings or ManagementSettings())

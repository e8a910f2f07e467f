"""The client: one connection to an environment, and groups of calls by their subject."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runtara_management_sdk import operations
from runtara_management_sdk.answers import Asks
from runtara_management_sdk.images import Images
from runtara_management_sdk.instances import Instances
from runtara_management_sdk.operations import Environments, Launches, Queues
from runtara_management_sdk.records import Granularity, Health, MetricsBucket
from runtara_management_sdk.schedules import Schedules
from runtara_management_sdk.workers import Workers
from runtara_protocol.pb import environment_pb2 as pb

if TYPE_CHECKING:
    from runtara_management_sdk.settings import ManagementSettings


class ManagementClient:
    """
    A client of an environment's management port, used in an `async with` block.

    It connects at the first call, and any number of tasks may use it at once. If the environment
    refuses a request, the call raises ServerError or a subclass. Other errors are ConnectionFailed,
    ServerNotTrusted, RequestTimeout and ProtocolError. If no settings are given, they are read from
    environment variables, and the constructor raises ConfigurationError if they can't be used.
    transport: sends the requests instead of a connection; settings are then not read.
    """

    images: Images
    instances: Instances
    launches: Launches
    environments: Environments
    queues: Queues
    schedules: Schedules
    workers: Workers

    def __init__(
        self, settings: "ManagementSettings | None" = None, *, transport: Asks | None = None
    ) -> None:
        self._transport = transport or _connection(settings)
        self.images = Images(self._transport)
        self.instances = Instances(self._transport)
        self.launches = Launches(self._transport)
        self.environments = Environments(self._transport)
        self.queues = Queues(self._transport)
        self.schedules = Schedules(self._transport)
        self.workers = Workers(self._transport)

    async def health(self) -> Health:
        """Return the environment's health, version, uptime and number of open launches."""
        answer = await self._transport.ask(pb.RpcRequest(health_check=pb.HealthCheckRequest()))
        uptime = timedelta(milliseconds=answer.uptime_ms)
        return Health(answer.healthy, answer.version, uptime, answer.active_instances)

    async def metrics(
        self,
        tenant_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        granularity: Granularity = Granularity.HOURLY,
    ) -> Sequence[MetricsBucket]:
        """
        Return counts and durations of a tenant's finished instances, a bucket for each period.

        since: None stands for a day ago. until: None stands for now. Empty buckets are included.
        """
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


def _connection(settings: "ManagementSettings | None") -> Asks:
    # Imported here: importing QUIC and TLS is slow, and another transport needs neither.
    from runtara_management_sdk.settings import ManagementSettings
    from runtara_management_sdk.transport import Transport

    return Transport(settings or ManagementSettings())

"""The connection of clients and workers to servers."""

from dataclasses import dataclass

from runtara_management_sdk import ManagementClient, ManagementSettings
from runtara_sdk.client.settings import Settings


@dataclass(frozen=True, slots=True)
class RemoteCore:
    """An environment's port, and the settings by which runs reach the core's."""

    management: ManagementClient

    @staticmethod
    def at(address: str) -> "RemoteCore":
        """Return an unconnected core; raises ConfigurationError for unusable variables."""
        return RemoteCore(ManagementClient(ManagementSettings(environment_addr=address)))

    @staticmethod
    def settings() -> Settings:
        """Return the settings of runs; raises ConfigurationError for unusable variables."""
        return Settings(instance_id="-", tenant_id="-", heartbeat_interval_ms=0)

"""What clients and workers have of the servers."""

from dataclasses import dataclass

from runtara_management_sdk import ManagementClient, ManagementSettings
from runtara_sdk.client.settings import Settings


@dataclass(frozen=True, slots=True)
class RemoteCore:
    """An environment's port, and the settings by which runs reach the core's."""

    management: ManagementClient

    @staticmethod
    def at(address: str) -> "RemoteCore":
        """Give it, unconnected; raises ConfigurationError for variables that can't be used."""
        return RemoteCore(ManagementClient(ManagementSettings(environment_addr=address)))

    @staticmethod
    def settings() -> Settings:
        """Give the settings of runs; raises ConfigurationError as above."""
        return Settings(instance_id="-", tenant_id="-", heartbeat_interval_ms=0)

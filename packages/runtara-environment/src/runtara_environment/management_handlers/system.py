"""Health, and the operations of a workflow compiler, which this server doesn't have."""

from datetime import timedelta

from runtara_environment.errors import Unsupported
from runtara_environment.management import Management, ManagementRequest
from runtara_protocol.pb import environment_pb2 as pb


async def health_check(
    core: Management, request: ManagementRequest, message: pb.HealthCheckRequest
) -> pb.RpcResponse:
    """Answer if the environment and its database work."""
    await core.persistence.check()
    uptime = core.clock.uptime() - core.began_at
    return pb.RpcResponse(
        health_check=pb.HealthCheckResponse(
            healthy=True,
            version=core.version,
            uptime_ms=uptime // timedelta(milliseconds=1),
            active_instances=core.launcher.active,
        )
    )


async def test_capability(
    core: Management, request: ManagementRequest, message: pb.TestCapabilityRequest
) -> pb.RpcResponse:
    """Refuse it: there are no agents here."""
    raise Unsupported("capabilities: only a workflow compiler has them, which Runtara is not")


async def list_agents(
    core: Management, request: ManagementRequest, message: pb.ListAgentsRequest
) -> pb.RpcResponse:
    """Answer with an empty list."""
    return pb.RpcResponse(list_agents=pb.ListAgentsResponse(agents_json=b"[]"))


async def get_capability(
    core: Management, request: ManagementRequest, message: pb.GetCapabilityRequest
) -> pb.RpcResponse:
    """Answer that there is none."""
    return pb.RpcResponse(get_capability=pb.GetCapabilityResponse(found=False))

"""A client of the real server."""

from tests.support.server_process import ServerProcess

from runtara_sdk import Client, Settings


def instance(server: ServerProcess, instance_id: str = "i-1") -> Client:
    return Client(
        Settings(
            instance_id=instance_id,
            tenant_id="t-1",
            server_addr=f"127.0.0.1:{server.port}",
            skip_cert_verification=True,
            # A third of it passes before a server that was killed is given up.
            request_timeout_ms=24_000,
        )
    )

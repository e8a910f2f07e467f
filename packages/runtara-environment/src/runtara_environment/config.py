"""The settings of an environment."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from pydantic import Field

from runtara_domain.error import InvalidValue
from runtara_environment.runners.oci import check_runtime
from runtara_persistence.connect import backend
from runtara_protocol.server.settings import File, Host, ServerSettings, refused_by


def address(text: str) -> tuple[str, int]:
    """Read `host:port`, the host in brackets if it is an IPv6 address; raises InvalidValue."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise InvalidValue(f"takes host:port, a port 0 to 65535, got {text!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def ray_address(text: str) -> tuple[str, int]:
    """Split host:port of a Ray cluster's head; raise InvalidValue, also where Ray is missing."""
    if find_spec("ray") is None:
        raise InvalidValue("needs Ray: install runtara-environment[ray]")
    return address(text)


DatabaseUrl = Annotated[str, refused_by(backend)]
Address = Annotated[str, refused_by(address)]
RayAddress = Annotated[str, refused_by(ray_address)]
_COUNT = "a whole number, at least 1"


class EnvironmentSettings(ServerSettings):
    """An environment's settings; those of processes it launches are theirs to find the core."""

    database_url: DatabaseUrl = Field(
        description="postgres://…, sqlite:PATH or sqlite://PATH: the core's database", min_length=1
    )
    db_pool_size: int = Field(
        10, ge=1, le=1000, description="PostgreSQL connections at most, 1 to 1000"
    )
    env_quic_host: Host = Field("127.0.0.1", description="an address to listen on", min_length=1)
    env_quic_port: int = Field(
        8002, ge=0, le=65535, description="a port, 0 (any free one) to 65535"
    )
    data_dir: Path = Field(
        Path(".data"), validation_alias="DATA_DIR", description="a folder for images and launches"
    )
    core_addr: Address = Field(
        "127.0.0.1:8001", description="host:port, the core's address for launched processes"
    )
    embed_core: bool = Field(False, description="true or false")
    server_name: str | None = Field(None, description="the name in the core's certificate")
    tls_ca: File | None = Field(
        None, description="a readable PEM file: the authority of the core's certificate"
    )
    skip_cert_verification: bool = Field(False, description="true or false")
    env_capacity: int = Field(32, ge=1, le=100_000, description="a whole number, 1 to 100000")
    env_leave: bool = Field(False, description="true or false")
    max_crashes: int = Field(5, ge=1, le=1000, description="a whole number, 1 to 1000")
    silence_s: int = Field(120, ge=10, le=86_400, description="seconds, 10 to 86400")
    lease_s: int = Field(30, ge=1, le=3600, description="seconds, 1 to 3600")
    tenant_max_instances: int | None = Field(None, ge=1, description=_COUNT)
    image_max_bytes: int = Field(256 << 20, ge=1, le=2**40, description="bytes, at least 1")
    log_max_bytes: int = Field(
        16 << 20, ge=1 << 16, le=2**40, description="bytes, at least 65536, of each launch"
    )
    warm_images: int = Field(8, ge=1, le=1000, description="interpreters, 1 to 1000")
    prepared_processes: int = Field(
        2, ge=0, le=100, description="processes, 0 to 100, of each warm interpreter"
    )
    oci_runtime: Annotated[str, refused_by(check_runtime)] | None = Field(
        None, description="runc, crun, a runtime's absolute path, or process: without a container"
    )
    ray_address: RayAddress | None = Field(
        None, description="host:port of a Ray cluster's head, for images whose placement is ray"
    )
    ray_data_dir: Path = Field(
        Path("/var/lib/runtara"), description="a folder on each node of the Ray cluster"
    )
    ray_node_ip: str | None = Field(
        None, description="the address by which the Ray cluster reaches this machine"
    )
    slurm_data_dir: Path | None = Field(
        None, description="a folder that this machine shares with all nodes of a Slurm cluster"
    )
    slurm_options: str | None = Field(
        None, description="further options of sbatch, such as --partition=NAME"
    )
    retention_days: int = Field(
        30, ge=0, le=36_500, description="days, 0 (finished instances are kept) to 36500"
    )

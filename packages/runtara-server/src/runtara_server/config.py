"""The settings of the core."""

from typing import Annotated

from pydantic import Field

from runtara_persistence.connect import backend
from runtara_protocol.server.settings import Host, ServerSettings, refused_by

DatabaseUrl = Annotated[str, refused_by(backend)]


class Settings(ServerSettings):
    """The core's settings."""

    database_url: DatabaseUrl = Field(
        description="postgres://…, sqlite:PATH, sqlite://PATH or sqlite::memory:", min_length=1
    )
    db_pool_size: int = Field(
        10, ge=1, le=1000, description="PostgreSQL connections at most, 1 to 1000"
    )
    quic_host: Host = Field("0.0.0.0", description="an address to listen on", min_length=1)
    quic_port: int = Field(8001, ge=0, le=65535, description="a port, 0 (any free one) to 65535")
    max_concurrent_instances: int = Field(32, ge=1, description="a whole number, at least 1")

"""
Access to a database without servers: this process executes requests with the environment's
handlers.

For reading, a role with read access suffices. Started or resumed instances are launched by the
environments that use the database, which notifies them.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from runtara_domain.error import DatabaseError, InvalidValue
from runtara_domain.launching.crashes import CrashPolicy
from runtara_domain.ports.transport import never_abandoned
from runtara_domain.system_clock import SystemClock
from runtara_environment.management import Management, ManagementRequest
from runtara_environment.operations import OPERATIONS
from runtara_management_sdk import ManagementClient
from runtara_management_sdk.answers import read_answer
from runtara_migrations import location
from runtara_persistence.connect import connect
from runtara_protocol.frame import MessageType, encode
from runtara_protocol.pb import environment_pb2 as pb
from runtara_protocol.server.router import Router
from runtara_sdk.errors import ConfigurationError, ConnectionFailed, ServerError

if TYPE_CHECKING:
    from runtara_domain.launching.launcher import Launcher
    from runtara_domain.model.interventions import Stopped
    from runtara_domain.model.launches import Claims, InstanceStart, Offer
    from runtara_domain.model.stored_images import RunnerType
    from runtara_domain.model.stored_launches import Launch
    from runtara_domain.ports.clock import Clock
    from runtara_domain.ports.placements import LogPiece
    from runtara_protocol.server.streams import Upload

_MAX_IMAGE = 256 << 20


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[ManagementClient]:
    """
    Open a client of a database; raises ConfigurationError for an unusable URL or a missing file.

    Raises ConnectionFailed if the database can't be opened.
    """
    try:
        persistence, place = connect(database_url), location.parse(database_url)
    except (InvalidValue, location.InvalidLocation) as error:
        raise ConfigurationError(f"--database-url: {error}") from error
    if isinstance(place, location.SqliteLocation) and not _is_there(place.path):
        raise ConfigurationError(
            f"--database-url: there is no file {place.path}: `runtara migrate` makes a database"
        )
    try:
        async with persistence:
            clock = SystemClock()
            management = Management(
                persistence=persistence,
                launcher=cast("Launcher", _Bystander(clock)),
                clock=clock,
                check_image=_check,
                read_log=_no_log,
                # They lie on the machine of their environment.
                forget_files=lambda tenant_id, instance_ids: None,
                obstacle=lambda image: None,
                crashes=CrashPolicy(),
                version="none: straight on the database",
                environment_id="",
                image_max_bytes=_MAX_IMAGE,
                began_at=clock.uptime(),
            )
            yield ManagementClient(transport=_Direct(management))
    except DatabaseError as error:
        raise ConnectionFailed(str(error)) from error


def _is_there(path: str) -> bool:
    return path == ":memory:" or Path(path).exists()


class _Direct:
    """The client's transport: a request is answered where it is asked."""

    def __init__(self, management: Management) -> None:
        self._router: Router[Management, ManagementRequest, pb.RpcResponse] = Router(
            OPERATIONS, management
        )

    async def ask(
        self, request: pb.RpcRequest, *, is_repeatable: bool = True, hold: float = 0.0
    ) -> Any:
        """Carry out a request; raises ServerError for a refusal."""
        return await self._answered(request, _Bytes(b""))

    async def upload(self, request: pb.RpcRequest, body: Callable[[], AsyncIterable[bytes]]) -> Any:
        """Execute a request with the bytes that follow it."""
        return await self._answered(request, _Bytes(b"".join([piece async for piece in body()])))

    async def aclose(self) -> None:
        """The opener of the database closes it."""

    async def _answered(self, request: pb.RpcRequest, upload: _Bytes) -> Any:
        call = ManagementRequest(never_abandoned, cast("Upload", upload))
        answer = await self._router.answer(call, request.SerializeToString())
        if answer is None:
            raise ServerError("the request has no answer")
        return read_answer(request, encode(MessageType.RESPONSE, answer))


class _Bytes:
    """An upload that is here already."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def read(self) -> bytes:
        content, self._content = self._content, b""
        return content


class _Bystander:
    """The launcher for handlers in a process without one: it claims nothing."""

    active = told = 0

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    def offering(self, start: InstanceStart) -> AbstractContextManager[Offer | None]:
        return nullcontext()

    def take(self, claims: Claims | None) -> None:
        assert claims is None

    def stopping(self, stopped: Stopped) -> None:
        """An environment carries it out."""

    def recheck(self) -> None:
        """Do nothing: the database notifies environments."""

    def recheck_schedules(self) -> None:
        """Do nothing: environments read schedules after the next renewal of their leases."""


def _check(path: Path, runner: RunnerType, metadata: Mapping[str, object]) -> None:
    from runtara_environment.images.validation import check_image

    check_image((), path, runner, metadata)


async def _no_log(tenant_id: str, launch: Launch, offset: int, limit: int) -> LogPiece | None:
    # The output of processes is on the machine of their environment.
    return None

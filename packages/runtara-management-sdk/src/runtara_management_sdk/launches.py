"""Launches: the processes that were started for instances, and their output."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from runtara_management_sdk import instance_reading, reading
from runtara_protocol.pb import environment_pb2 as pb

if TYPE_CHECKING:
    from runtara_management_sdk.answers import Asks
    from runtara_management_sdk.instance_records import Launch

PAGE = 100
LOG_PIECE = 256 * 1024
FOLLOW = 20.0
"""Seconds for which the server holds one request for more of a log."""


class Launches:
    """The processes that were started for instances."""

    def __init__(self, transport: Asks) -> None:
        self._transport = transport

    async def list(
        self,
        *,
        instance_id: str | None = None,
        environment_id: str | None = None,
        open_only: bool = False,
    ) -> AsyncIterator[Launch]:
        """
        Yield launches, newest first.

        instance_id, environment_id: only those of this instance or environment. open_only: only
        open launches.
        """
        after: str | None = None
        while True:
            request = pb.ListLaunchesRequest(
                instance_id=instance_id,
                environment_id=environment_id,
                open_only=open_only,
                limit=PAGE,
                after=after,
            )
            answer = await self._transport.ask(pb.RpcRequest(list_launches=request))
            for message in answer.launches:
                yield instance_reading.launch(message)
            after = reading.field(answer, "next")
            if after is None:
                return

    async def log(
        self, instance_id: str, *, launch_id: str | None = None, follow: bool = False
    ) -> AsyncIterator[bytes]:
        """
        Yield the output of a launch's process, by default of the newest launch.

        follow: wait for more output until the process has ended. Raises NotFound.
        """
        offset = 0
        while True:
            request = pb.GetLogRequest(
                instance_id=instance_id,
                launch_id=launch_id,
                offset=offset,
                limit=LOG_PIECE,
                wait_ms=int(FOLLOW * 1000) if follow else 0,
            )
            answer = await self._transport.ask(
                pb.RpcRequest(get_log=request), hold=FOLLOW if follow else 0.0
            )
            if answer.data:
                yield bytes(answer.data)
            offset, launch_id = answer.next_offset, answer.launch_id
            if answer.is_complete or (not answer.data and not follow):
                return

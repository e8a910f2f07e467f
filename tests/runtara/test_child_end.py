"""The end of a worker's child whose worker has gone."""

import asyncio
import os
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from unittest.mock import AsyncMock

import pytest
from tests.runtara.conftest import until

from runtara import locating
from runtara.child_process import _serve


class Ended(BaseException):
    """The process would have ended."""


class Connection:
    """A connection without a core."""

    @asynccontextmanager
    async def stores(self) -> AsyncIterator[None]:
        yield None


@asynccontextmanager
async def connected(*_: object, **__: object) -> AsyncIterator[Connection]:
    yield Connection()


@pytest.mark.parametrize("has_read", [True, False])
async def test_a_child_whose_worker_has_gone_ends_at_once(
    monkeypatch: pytest.MonkeyPatch, has_read: bool
) -> None:
    """A worker killed before it has read everything resets the connection; no run is unwound."""

    def end(code: int) -> None:
        raise Ended

    monkeypatch.setattr("runtara.child_process.connected", connected)
    monkeypatch.setattr(os, "_exit", end)
    ours, theirs = socket.socketpair()
    streams = await asyncio.open_connection(sock=theirs)
    monkeypatch.setattr(asyncio, "open_connection", AsyncMock(return_value=streams))
    where = locating.locate("sqlite:none.db")
    serving = asyncio.create_task(_serve(theirs, where, {}, None))
    await until(lambda: bool(select.select([ours], [], [], 0)[0]))
    if has_read:
        assert ours.recv(100) == b'{"ready": true}\n'
    ours.close()

    with pytest.raises(Ended):
        await serving
    # A process that ends closes it.
    streams[1].close()
    with suppress(ConnectionError):
        await streams[1].wait_closed()

"""Falling asleep: the core says when a sleep is stored, or is too old to and asked about it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from tests.sdk.fake_server import FakeServer, be_silent, refuse, reply

from runtara_protocol.pb.instance_pb2 import (
    GetInstanceStatusResponse,
    InstanceStatus,
    RpcResponse,
)
from runtara_sdk import InvalidInstanceState, Settings
from runtara_sdk.workflow.process.core_store import connected


def status(number: InstanceStatus) -> RpcResponse:
    return RpcResponse(get_instance_status=GetInstanceStatusResponse(status=number))


ASLEEP = reply(status(InstanceStatus.STATUS_SUSPENDED))
AWAKE = reply(status(InstanceStatus.STATUS_RUNNING))


WAITS = '[{"kind": "signal", "name": "approval"}]'


def tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


async def test_a_release_asks_for_one_answer_and_the_status(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """The sleep is detached, so that its answer says that it is stored."""
    server.script("get_instance_status", ASLEEP)

    async with connected(settings()) as journal:
        is_asleep = await journal.suspend_until("nap", b"dream", tomorrow(), WAITS)

    assert is_asleep
    assert server.kinds() == ["sleep", "get_instance_status"]
    sleep = server.requests[0].sleep
    assert (sleep.checkpoint_id, sleep.state, sleep.detach) == ("nap", b"dream", True)
    assert sleep.waits == WAITS


async def test_a_sleep_that_does_not_begin_releases_nothing(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """A server too old for detached sleeps answers at once where a cancel is pending."""
    server.script("get_instance_status", AWAKE)

    async with connected(settings()) as journal:
        is_asleep = await journal.suspend_until("nap", b"", tomorrow())

    assert not is_asleep
    assert server.kinds() == ["sleep", "get_instance_status"]


async def test_a_moment_that_has_come_releases_nothing(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """The server is not asked for a sleep that is over before it begins."""
    async with connected(settings()) as journal:
        is_asleep = await journal.suspend_until("nap", b"", datetime.now(UTC))

    assert not is_asleep
    assert server.kinds() == []


async def test_a_server_that_holds_the_answer_is_asked_whether_the_instance_sleeps(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """A sleep that had not arrived by then is asked for again."""
    server.always("sleep", be_silent)
    server.script("get_instance_status", AWAKE, ASLEEP)

    async with connected(settings()) as journal:
        is_asleep = await journal.suspend_until("nap", b"", tomorrow())

    assert is_asleep
    assert server.kinds() == ["sleep", "get_instance_status"] * 2


async def test_a_sleep_that_is_refused_is_raised(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """An instance that was ended or paused meanwhile cannot fall asleep."""
    server.script("sleep", refuse("INVALID_INSTANCE_STATE"))

    async with connected(settings()) as journal:
        with pytest.raises(InvalidInstanceState):
            await journal.suspend_until("nap", b"", tomorrow())

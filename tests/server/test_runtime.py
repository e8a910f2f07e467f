import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.wire import connected

from runtara_domain.error import DatabaseError
from runtara_domain.model import Registration
from runtara_domain.status import InstanceStatus
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.quic.certificates import CertificateError, LocalAuthority
from runtara_protocol.quic.client import ClientSettings, connect
from runtara_protocol.quic.error import ConnectError
from runtara_server.config import Settings
from runtara_server.container import Container
from runtara_server.runtime import CoreRuntime, StartError

Made = Callable[..., Settings]


async def test_the_address_is_the_one_that_was_bound(settings: Made) -> None:
    async with CoreRuntime(settings()) as runtime:
        host, port = runtime.address

        assert (host, port > 0) == ("127.0.0.1", True)
        async with connected(port) as wire:
            assert (await wire.register("i-1")).success


async def test_what_clients_store_is_there_in_its_persistence(settings: Made) -> None:
    async with CoreRuntime(settings()) as runtime, connected(runtime.address[1]) as wire:
        await wire.register("i-1")
        await wire.checkpoint("i-1", "c-1", b"one")

        checkpoint = await runtime.persistence.checkpoints.get("i-1", "c-1")

    assert checkpoint is not None
    assert checkpoint.state == b"one"


async def test_callers_in_this_process_and_clients_have_one_core(settings: Made) -> None:
    async with CoreRuntime(settings(max_concurrent_instances=1)) as runtime:
        session = runtime.operations.open_session()
        await runtime.operations.register_instance(
            session=session, registration=Registration("i-1", "t-1")
        )
        async with connected(runtime.address[1]) as wire:
            refused = await wire.register("i-2")

            assert refused.code == "TOO_MANY_INSTANCES"
            assert (await wire.register("i-1")).run == 2


async def test_a_place_is_free_when_its_connection_is_gone(settings: Made) -> None:
    async with CoreRuntime(settings(max_concurrent_instances=1)) as runtime:
        async with connected(runtime.address[1]) as wire:
            await wire.register("i-1")
        async with connected(runtime.address[1]) as wire, asyncio.timeout(60):
            while not (await wire.register("i-2")).success:
                pass


async def test_it_can_be_opened_and_closed_again_and_again(settings: Made) -> None:
    """Embedders may do so in one process; what was stored is there the next time."""
    for run in (1, 2, 3):
        async with CoreRuntime(settings()) as runtime, connected(runtime.address[1]) as wire:
            assert (await wire.register("i-1")).run == run


async def test_two_live_side_by_side(settings: Made) -> None:
    one, other = CoreRuntime(settings()), CoreRuntime(settings(database_url="sqlite::memory:"))
    async with one, other, connected(one.address[1]) as wire:
        await wire.register("i-1")

        assert await one.persistence.instances.get("i-1") is not None
        assert await other.persistence.instances.get("i-1") is None


async def test_it_is_closed_when_its_block_fails(settings: Made) -> None:
    runtime = CoreRuntime(settings())
    ports = []

    async def block() -> None:
        async with runtime:
            ports.append(runtime.address[1])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await block()

    with pytest.raises(ConnectError):
        await connect(ClientSettings(host="127.0.0.1", port=ports[0], verify=False))
    with pytest.raises(DatabaseError):
        await runtime.persistence.instances.get("i-1")


async def test_the_database_is_closed_last(settings: Made) -> None:
    """A step that was begun is carried out and answered before it closes."""
    async with CoreRuntime(settings()) as runtime:
        wire_context = connected(runtime.address[1])
        wire = await wire_context.__aenter__()
        await wire.register("i-1")
        asking = [
            asyncio.create_task(wire.checkpoint("i-1", f"c-{number}")) for number in range(20)
        ]
        await asking[0]
    answers = [await one for one in asking]
    await wire_context.__aexit__(None, None, None)

    async with CoreRuntime(settings()) as runtime:
        for number, answer in enumerate(answers):
            kept = await runtime.persistence.checkpoints.get("i-1", f"c-{number}")
            assert (kept is not None) is answer.HasField("checkpoint")


async def test_signs_of_life_are_written_before_it_closes(settings: Made) -> None:
    async with CoreRuntime(settings()) as runtime, connected(runtime.address[1]) as wire:
        await wire.register("i-1")
        before = await runtime.persistence.instances.get("i-1")
        await wire.event("i-1", pb.EVENT_HEARTBEAT)

    async with CoreRuntime(settings()) as runtime:
        after = await runtime.persistence.instances.get("i-1")
    assert before is not None
    assert after is not None
    assert before.last_activity_at is not None
    assert after.last_activity_at is not None
    assert after.last_activity_at > before.last_activity_at


async def test_a_bug_that_ends_the_writing_of_activity_is_logged_at_once(
    settings: Made, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    touched = asyncio.Event()

    async def broken(*_: object, **__: object) -> None:
        touched.set()
        raise ZeroDivisionError

    async with CoreRuntime(settings()) as runtime, connected(runtime.address[1]) as wire:
        await wire.register("i-1")
        with monkeypatch.context() as patch:
            patch.setattr(runtime.persistence.instances, "mark_active", broken)
            await wire.event("i-1", pb.EVENT_HEARTBEAT)
            await touched.wait()
        await wire.status("i-1")

        [record] = [record for record in caplog.records if record.levelname == "ERROR"]

    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


async def test_a_port_in_use_is_said_in_one_line_and_leaves_nothing_open(settings: Made) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        runtime = CoreRuntime(settings(quic_port=port))

        with pytest.raises(StartError, match=rf"^Can't listen on 127.0.0.1 port {port} .*[^\n]$"):
            await runtime.__aenter__()

    with pytest.raises(DatabaseError):
        await runtime.persistence.instances.get("i-1")


async def test_a_database_out_of_reach_is_said_before_anything_listens(
    settings: Made, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DatabaseError, match=r"file/x\.db"):
        await CoreRuntime(settings(database_url=f"sqlite:{tmp_path}/file/x.db")).__aenter__()


async def test_a_certificate_of_files_is_what_clients_see(settings: Made, tmp_path: Path) -> None:
    authority = LocalAuthority.open(tmp_path)
    async with CoreRuntime(settings(), authority.issue()) as runtime:
        host, port = runtime.address
        async with await connect(
            ClientSettings(host=host, port=port, ca_path=authority.ca_path)
        ) as connection:
            assert not connection.is_closed


def test_files_that_hold_no_certificate_are_refused_at_once(settings: Made, tmp_path: Path) -> None:
    (tmp_path / "some.pem").write_text("words")
    file = str(tmp_path / "some.pem")

    with pytest.raises(CertificateError, match=r"some\.pem"):
        CoreRuntime(settings(tls_cert=file, tls_key=file))


def test_the_container_builds_every_part_once_and_opens_nothing(
    settings: Made, tmp_path: Path
) -> None:
    container = Container(settings=settings())

    for name, provider in container.providers.items():
        assert provider() is not None, name
    assert container.router() is container.router()
    assert container.persistence() is container.persistence()
    assert list(tmp_path.iterdir()) == []


async def test_a_status_is_read_over_the_wire(settings: Made) -> None:
    async with CoreRuntime(settings()) as runtime, connected(runtime.address[1]) as wire:
        await wire.register("i-1")
        await wire.event("i-1", pb.EVENT_FAILED, b"it broke")

        status = await wire.status("i-1")
        instance = await runtime.persistence.instances.get("i-1")

    assert (status.status, status.error) == (pb.STATUS_FAILED, "it broke")
    assert status.finished_at_ms >= status.started_at_ms > 0
    assert instance is not None
    assert instance.status is InstanceStatus.FAILED

"""Images over the management port."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.environment.management.conftest import Port
from tests.support.raw_client import raw_client

from runtara_domain.model.stored_images import RunnerType
from runtara_management_sdk import ImageInUse, ImageNotFound, Runner
from runtara_management_sdk.transport import Transport
from runtara_protocol.frame import HEADER_SIZE, MessageType, encode
from runtara_protocol.pb import environment_pb2 as pb
from runtara_sdk.errors import ValidationFailed

BYTES = bytes(range(256)) * 5000  # More than one chunk.


async def names(port: Port, **which: object) -> list[tuple[str, int | None]]:
    listed = port.client.images.list(**which)  # type: ignore[arg-type]  # Arguments by name.
    return [(image.name, image.version) async for image in listed]


async def test_an_image_goes_up_in_pieces_and_is_stored_whole(port: Port, tmp_path: Path) -> None:
    """Its bytes are checked as a file, kept in chunks, and found by id; progress is reported."""
    source = tmp_path / "orders.zip"
    source.write_bytes(BYTES)
    told: list[tuple[int, int]] = []

    registered = await port.client.images.register(
        "acme",
        "orders",
        source,
        Runner.PYTHON,
        description="all orders",
        metadata={"target": "orders:main"},
        on_progress=lambda sent, size: told.append((sent, size)),
    )
    found = await port.client.images.get(registered.image_id, "acme")

    assert port.checked == [(BYTES, RunnerType.PYTHON, {"target": "orders:main"})]
    assert (registered.version, registered.created) == (1, True)
    assert found is not None
    assert (found.name, found.description, found.size_bytes) == ("orders", "all orders", len(BYTES))
    assert found.sha256 == hashlib.sha256(BYTES).hexdigest()
    assert found.metadata == {"target": "orders:main"}
    assert told[-1] == (len(BYTES), len(BYTES))
    chunks = [await port.persistence.images.chunk(registered.image_id, n) or b"" for n in range(3)]
    assert b"".join(chunks) == BYTES


async def test_the_same_bytes_again_are_the_same_version(port: Port) -> None:
    """Other bytes make the next version, and lists show the newest unless all are asked for."""
    images = port.client.images
    first = await images.register("acme", "a", b"one", Runner.OCI)
    again = await images.register("acme", "a", b"one", Runner.OCI)
    second = await images.register("acme", "a", b"two", Runner.OCI)
    await images.register("other", "b", b"one", Runner.NATIVE)

    assert (again.image_id, again.created) == (first.image_id, False)
    assert (second.version, second.created) == (2, True)
    assert await names(port, tenant_id="acme") == [("a", 2)]
    assert await names(port, tenant_id="acme", all_versions=True) == [("a", 2), ("a", 1)]
    assert sorted(await names(port)) == [("a", 2), ("b", 1)]
    assert await names(port, name_prefix="b") == [("b", 1)]


async def test_an_image_that_came_with_its_request_is_stored_too(port: Port) -> None:
    """The original's register carries the bytes in its message."""
    transport = Transport(port.settings())
    message = pb.RegisterImageRequest(tenant_id="t", name="n", binary=b"#!/bin/sh\n")
    answer = await transport.ask(pb.RpcRequest(register_image=message))

    assert await port.client.images.get(answer.image_id, "t") is not None
    for missing, said in (
        (pb.RegisterImageRequest(name="n", binary=b"x"), "tenant_id is required"),
        (pb.RegisterImageRequest(tenant_id="t", binary=b"x"), "name is required"),
        (pb.RegisterImageRequest(tenant_id="t", name="n"), "binary is required"),
    ):
        with pytest.raises(ValidationFailed, match=f"^{said}$"):
            await transport.ask(pb.RpcRequest(register_image=missing))
    await transport.aclose()


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ({"sha256": "0" * 64}, "sha256: takes .*, got 0+"),
        ({"binary_size": 2000}, "takes 2000 bytes \\(binary_size\\), got 1000"),
        ({"metadata": b"[]"}, "metadata: takes a JSON object, got list"),
        ({"runner_type": 7}, r"runner_type: takes 0 \(RUNNER_OCI\), .*got 7"),
        ({"binary_size": 5 << 20}, "RUNTARA_IMAGE_MAX_BYTES"),
        ({"tenant_id": ""}, "tenant_id is required"),
    ],
)
async def test_a_refused_upload_leaves_nothing(
    port: Port, start: dict[str, object], said: str
) -> None:
    """It is read to its stated size or end, and answered with what is wrong."""
    message = pb.RegisterImageStreamStart(
        **{"tenant_id": "t", "name": "n", "binary_size": 1000, **start}  # type: ignore[arg-type]  # Fields by name.
    )

    async def body() -> AsyncIterator[bytes]:
        yield bytes(600)
        yield bytes(400)

    transport = Transport(port.settings())
    with pytest.raises(ValidationFailed, match=said):
        await transport.upload(pb.RpcRequest(register_image_stream=message), body)
    await transport.aclose()

    assert await names(port) == []
    assert await port.database.rows("image_chunks") == []


async def test_a_long_check_of_an_image_holds_up_no_other_call(port: Port) -> None:
    """A zip is read to its end while others are answered, and the lease is renewed."""
    port.may_check.clear()
    registering = asyncio.create_task(port.client.images.register("t", "n", b"one", Runner.OCI))
    assert await asyncio.to_thread(port.is_checking.wait, 20)
    health = await port.client.health()
    assert not registering.done()
    port.may_check.set()

    assert (health.is_healthy, (await registering).created) == (True, True)


@pytest.mark.parametrize("sent", [0, 1, 400, 999])
@pytest.mark.parametrize("is_reset", [True, False], ids=["reset", "ended"])
async def test_an_upload_that_is_cut_anywhere_leaves_nothing(
    port: Port, sent: int, is_reset: bool
) -> None:
    """It is refused with what came, if its client still listens; the next one is taken."""
    start = pb.RegisterImageStreamStart(tenant_id="t", name="n", binary_size=1000)
    request = pb.RpcRequest(register_image_stream=start).SerializeToString()
    async with raw_client(port.port) as client:
        stream_id = client.quic.get_next_available_stream_id()
        frame = encode(MessageType.REQUEST, request)
        client.quic.send_stream_data(stream_id, frame + bytes(sent), end_stream=not is_reset)
        if is_reset:
            client.quic.reset_stream(stream_id, 7)
        client.transmit()
        if not is_reset:
            answer = pb.RpcResponse.FromString((await client.answer(stream_id))[HEADER_SIZE:])
            assert (
                answer.register_image.error == f"binary: takes 1000 bytes (binary_size), got {sent}"
            )

    after = await port.client.images.register("t", "after", b"one", Runner.OCI)
    assert (await names(port), after.created) == ([("after", 1)], True)
    assert len(await port.database.rows("image_chunks")) == 1


async def test_another_tenants_image_is_like_a_missing_one(port: Port) -> None:
    """Word for word, but for the id."""
    image = await port.client.images.register("acme", "a", b"one", Runner.OCI)

    said = []
    for image_id in (image.image_id, "missing"):
        assert await port.client.images.get(image_id, "other") is None
        with pytest.raises(ImageNotFound, match="not found") as refused:
            await port.client.images.delete(image_id, "other")
        said.append(str(refused.value).replace(image_id, ""))
    assert said[0] == said[1]


async def test_an_image_in_use_is_not_deleted(port: Port) -> None:
    """The refusal tells how many open instances use it; unused it is gone."""
    image = await port.client.images.register("acme", "a", b"one", Runner.OCI)
    unused = await port.client.images.register("acme", "b", b"one", Runner.OCI)
    await port.client.instances.start("acme", image_id=image.image_id)

    with pytest.raises(ImageInUse, match="1 open instance"):
        await port.client.images.delete(image.image_id, "acme")
    await port.client.images.delete(unused.image_id, "acme")
    assert await port.client.images.get(unused.image_id, "acme") is None

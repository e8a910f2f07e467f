"""What users of `runtara` write, for type checkers alone: a wrong line says which error it is."""

from collections.abc import Iterator
from typing import assert_type

from runtara import Client, Forked, Handle, Promise, connect, step, workflow
from runtara import sync as plain
from runtara_management_sdk import Health, Instance, InstanceSummary, Started, sync

WORD = Promise("word", str)


@workflow
async def fulfil(order: str, *, gift: bool = False) -> list[int]:
    return [len(order), gift]


@workflow
async def pair(one: int, other: str) -> str:
    return other * one


@plain.step
def plain_step(number: int) -> str:
    return str(number)


@plain.step(name="named", timeout="5s")
def named_step(number: int) -> bytes:
    return bytes(number)


@plain.workflow(suspend_after="1s")
def plain_flow(number: int) -> str:
    assert_type(plain_step(number), str)
    assert_type(named_step(number), bytes)
    assert_type(plain.get(WORD), str)
    plain_step("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return plain_step(number)


@step
async def nothing() -> None: ...


async def use() -> None:
    async with connect() as client:
        assert_type(client, Client)
        handle = await client.start(fulfil, "17", id="order-17", priority=1, delay="1h")
        assert_type(handle, Handle[list[int]])
        assert_type(await client.start(fulfil.bind("18", gift=True)), Handle[list[int]])
        assert_type(await client.start(pair, 2, "x"), Handle[str])
        assert_type(await handle.result(timeout="10s"), list[int])
        assert_type(client.handle(pair, "x"), Handle[str])
        assert_type(await handle.fork(before="charge#1"), Forked[list[int]])
        await handle.send(WORD, "yes")
        await client.start(fulfil, 17)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        fulfil.bind(17)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        async for one in client.list(fulfil, status="failed", since="1d"):
            assert_type(one.instance_id, str)


def use_plain() -> None:
    with plain.connect() as client:
        handle = client.start(plain_flow.bind(1), id="plain")
        assert_type(handle, plain.Handle[str])
        assert_type(handle.result(), str)
        handle.send(WORD, "yes")


def operate() -> None:
    with sync.ManagementClient() as client:
        started = client.instances.start("acme", workflow="fulfil", input=b"17")
        assert_type(started, Started)
        assert_type(client.instances.list(), Iterator[InstanceSummary])
        assert_type(client.instances.get(started.instance_id), Instance | None)
        assert_type(client.health(), Health)
        client.instances.start(17)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        client.instances.stop("i", gracious=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

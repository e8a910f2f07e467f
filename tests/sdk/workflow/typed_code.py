"""What users write, for type checkers alone: every line that is wrong says which error it is."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, assert_type

from typing_extensions import override

from runtara_sdk import (
    Call,
    NotDone,
    Promise,
    Retry,
    Step,
    TaskGroup,
    map_steps,
    patched,
    promise,
    sleep,
    step,
    timeout,
    workflow,
)

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    number: int


@dataclass(frozen=True)
class Receipt:
    text: str


@step(retry=Retry(attempts=5, on=(OSError, TimeoutError), wait="1s"), raises=ValueError)
async def charge(order: Order, *, twice: bool = False) -> Receipt:
    return Receipt(f"{order.number} {twice}")


@step
def render(receipt: Receipt) -> bytes:
    return receipt.text.encode()


@step(effect="external")
async def refund(receipt: Receipt) -> int:
    return len(receipt.text)


@refund.in_doubt
async def find_refund(receipt: Receipt) -> int | NotDone:
    return len(receipt.text) or NotDone()


class Shop:
    @step
    async def pack(self, order: Order) -> list[str]:
        return [str(order.number)]

    @step(timeout="5s")
    async def send(self, parcel: list[str], to: str) -> bool:
        return bool(parcel and to)


class Shelf(Generic[T]):
    def __init__(self, *things: T) -> None:
        self.things = things

    @step
    async def first(self) -> T:
        return self.things[0]

    @staticmethod
    @step
    async def size(thing: str) -> int:
        return len(thing)


class CornerShop(Shop):
    # basedpyright compares what @step gives as it does other attributes: with its `self`.
    @override
    @step(retry=Retry(attempts=2))
    async def pack(self, order: Order) -> list[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return [*await super().pack(order), "ribbon"]


class Packer(Protocol):
    async def pack(self, order: Order) -> list[str]: ...


# Nor does it bind what is no function, where a protocol is asked for.
packer: Packer = CornerShop()  # pyright: ignore[reportAssignmentType]


def logged(
    function: Callable[P, Coroutine[Any, Any, R]],
) -> Callable[P, Coroutine[Any, Any, R]]:
    @wraps(function)
    async def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        return await function(*args, **kwargs)

    return inner


@step
@logged
async def weigh(parcel: list[str], *, twice: bool = False) -> float:
    return len(parcel) * (1 + twice)


@logged
@step
async def label(parcel: list[str]) -> str:
    return str(parcel)


CALLS: dict[str, Callable[[list[str]], Awaitable[object]]] = {"weigh": weigh, "label": label}


@workflow(name="fulfil")
async def fulfil(order: Order) -> str:
    receipt = assert_type(await charge(order, twice=True), Receipt)
    assert_type(await render(receipt), bytes)
    assert_type(await refund(receipt), int)
    assert_type(await charge.keyed("again")(order), Receipt)
    shop = Shop()
    parcel = assert_type(await shop.pack(order), list[str])
    assert_type(await shop.send(parcel, to="me"), bool)
    assert_type(await CornerShop().pack(order), list[str])
    assert_type(await Shelf(order).first(), Order)
    assert_type(await Shelf.size("x"), int)
    assert_type(await weigh(parcel, twice=True), float)
    assert_type(await label(parcel), str)
    await sleep("3d")
    async with timeout("7d"):
        assert_type(await promise("approval", Receipt), Receipt)
    async with TaskGroup() as group:
        task = group.create_task(charge(order), name="one")
    assert_type(task.result(), Receipt)
    both = await asyncio.gather(charge(order), render(receipt))
    assert_type(both, tuple[Receipt, bytes])
    either: Receipt | int = await promise("either", Receipt | int)
    assert either
    assert_type(await map_steps(charge, [order], key=str, limit=3), list[Receipt])
    assert_type(await patched("x"), bool)
    return receipt.text


@workflow(raises=(ValueError, KeyError))
async def ship(order: Order, *, express: bool = False) -> Receipt:
    return Receipt(f"{order.number} {express}")


APPROVAL = Promise("approval", Receipt)
EITHER: Promise[Receipt | int] = Promise("either", Receipt | int)
ANYTHING: Promise[object] = APPROVAL  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


async def hearing() -> None:
    assert_type(await APPROVAL.get(timeout="7d"), Receipt)
    assert_type(await APPROVAL.keyed("17").get(), Receipt)
    assert_type(await EITHER.get(), Receipt | int)
    APPROVAL.payload(Receipt("x"))
    APPROVAL.payload(17)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def binding(order: Order) -> None:
    call = assert_type(ship.bind(order, express=True), Call[Receipt])
    assert_type(call.decode_result(b""), Receipt)
    ship.bind("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ship.bind(order, fast=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def wrong(order: Order) -> None:
    await charge(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await charge(order, thrice=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await render(order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await Shop().send(["a"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await fulfil("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await promise("x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


taken: Step[[Receipt], int] = refund

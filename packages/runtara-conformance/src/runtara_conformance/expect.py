"""Expectations of rules; a failure has the expected and the actual result."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from runtara_conformance.client import Ending, Reply, Reset, Stream
from runtara_conformance.message import Message
from runtara_conformance.messages import RegisterInstanceResponse, RpcError

M = TypeVar("M", bound=Message)
T = TypeVar("T")

CODES = frozenset(
    {
        "EMPTY_REQUEST",
        "VALIDATION_ERROR",
        "INSTANCE_NOT_FOUND",
        "INSTANCE_ALREADY_EXISTS",
        "INVALID_INSTANCE_STATE",
        "CHECKPOINT_NOT_FOUND",
        "CHECKPOINT_SAVE_FAILED",
        "SIGNAL_DELIVERY_FAILED",
        "DATABASE_ERROR",
        "INSTANCE_SUPERSEDED",
        "TOO_MANY_INSTANCES",
        "SHUTTING_DOWN",
        "OVERLOADED",
        "INTERNAL_ERROR",
    }
)
SHOWN = 400


class BrokenError(Exception):
    """The server broke a rule."""

    def __init__(self, expected: str, came: object) -> None:
        super().__init__(expected, came)
        self.expected = expected
        self.came = _clipped(came if isinstance(came, str) else repr(came))

    def __str__(self) -> str:
        return f"expected {self.expected}; came {self.came}"


def expect(expected: str, kept: bool, came: object) -> None:
    """Break the rule unless it was kept."""
    if not kept:
        raise BrokenError(expected, came)


def same(what: str, came: object, wanted: object) -> None:
    """Expect exactly this value."""
    expect(f"{what}: {_clipped(repr(wanted))}", came == wanted, came)


def answered(reply: Reply, wanted: type[M]) -> M:
    """Expect this message."""
    if not isinstance(reply, wanted):
        raise BrokenError(wanted.__name__, reply)
    return reply


def refused(reply: Reply, *codes: str, naming: Iterable[str] = ()) -> RpcError:
    """Expect an RpcError with one of the codes, whose message names all this."""
    error = answered(reply, RpcError)
    expect(f"code {' or '.join(codes)}", error.code in codes, error)
    names(error.message, naming)
    return error


def unregistered(reply: Reply, *codes: str, naming: Iterable[str] = ()) -> None:
    """Expect a registration refused in its own response; a server may leave `code` out."""
    answer = answered(reply, RegisterInstanceResponse)
    expect("success false and an error", not answer.success and answer.error != "", answer)
    expected = f"code {' or '.join(codes)}" if codes else "one of the protocol's codes"
    expect(expected, answer.code in (codes or CODES) or answer.code is None, answer)
    names(answer.error, naming)


def names(text: str, naming: Iterable[str]) -> None:
    """Expect a person to find each of these words in the text, in any case; "a|b" is either."""
    for words in naming:
        named = any(word.lower() in text.lower() for word in words.split("|"))
        expect(f"a message naming {_clipped(words)!r}", named, text)


def broken_off(stream: Stream, ending: Ending) -> None:
    """Expect RESET_STREAM and STOP_SENDING with code 1, and no byte of an answer."""
    same("the stream is reset with code 1", ending, Reset(1))
    same("nothing was answered before the reset", bytes(stream.received), b"")


async def within(seconds: float, what: str, awaited: Awaitable[T]) -> T:
    """Expect this to come in time."""
    try:
        async with asyncio.timeout(seconds):
            return await awaited
    except TimeoutError as error:
        raise BrokenError(f"{what} within {seconds:g} s", "nothing in that time") from error


async def eventually(seconds: float, what: str, look: Callable[[], Awaitable[T | None]]) -> T:
    """Look again and again until something is seen, for that long at most."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        seen = await look()
        if seen is not None:
            return seen
        expect(f"{what} within {seconds:g} s", loop.time() < until, "nothing in that time")
        await asyncio.sleep(0.02)


def _clipped(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"

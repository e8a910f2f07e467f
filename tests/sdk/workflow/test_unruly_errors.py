"""Errors that misbehave when they are looked at are errors like others."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NoReturn

import pytest
from tests.sdk.workflow.memory_store import Core, life, lives

from runtara_sdk import Ended, Outcome, Retry, StepFailed, TaskGroup, race, step, workflow
from runtara_sdk.workflow.engine.retry import retry_after

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Response(Exception):
    @property
    def response(self) -> NoReturn:
        raise LookupError("there was none")


class RetryAfter(Exception):
    @property
    def retry_after(self) -> NoReturn:
        raise SystemExit(3)


class Attributes(Exception):
    def __getattr__(self, name: str) -> NoReturn:
        raise KeyError(name)


class AllAttributes(Exception):
    def __getattribute__(self, name: str) -> NoReturn:
        raise RuntimeError(name)


class Mute(Exception):
    def __str__(self) -> NoReturn:
        raise OSError("no text")

    __repr__ = __str__


class Numeric(Exception):
    def __str__(self) -> Any:
        return 17

    def __repr__(self) -> Any:
        return None


class OddText(str):
    def __format__(self, spec: str) -> NoReturn:
        raise ValueError("no format")

    def encode(self, *args: object, **kwargs: object) -> NoReturn:
        raise ValueError("no bytes")

    replace = encode


class Odd(Exception):
    def __str__(self) -> str:
        return OddText("odd")


class Surrogate(Exception):
    def __str__(self) -> str:
        return "\ud800\0"


class Long(Exception):
    def __str__(self) -> str:
        return "x" * 70_000_000


class Loop(Exception):
    def __init__(self) -> None:
        super().__init__("loop")
        self.__cause__ = ValueError("first")
        self.__cause__.__cause__ = self
        self.__context__ = self


class Cause(Exception):
    @property
    def __cause__(self) -> NoReturn:  # type: ignore[override]
        raise LookupError("there is none")

    __context__ = __cause__


class Notes(Exception):
    __notes__ = 17  # type: ignore[assignment]


class Comparing(Exception):
    def __eq__(self, other: object) -> NoReturn:
        raise ValueError("not comparable")

    __hash__ = None  # type: ignore[assignment]


class Reduced(Exception):
    def __reduce__(self) -> NoReturn:
        raise TypeError("can't be pickled")

    @property
    def args(self) -> NoReturn:  # type: ignore[override]
        raise TypeError("has none")


class Truth(Exception):
    def __bool__(self) -> NoReturn:
        raise ValueError("neither")

    def __len__(self) -> NoReturn:
        raise ValueError("none")


class Attribute(AttributeError):
    """Python looks for names that were perhaps meant, in the object."""

    def __init__(self) -> None:
        super().__init__("no")
        self.obj, self.name = AllAttributes(), 17  # type: ignore[assignment]


class Syntax(SyntaxError):
    def __init__(self) -> None:
        super().__init__("no")
        self.lineno, self.text, self.offset = object(), 3, "x"  # type: ignore[assignment]


UNRULY: list[Callable[[], Exception]] = [
    Response, RetryAfter, Attributes, AllAttributes, Mute, Numeric, Odd, Surrogate, Long, Loop,
    Cause, Notes, Comparing, Reduced, Truth, Attribute, Syntax,
]  # fmt: skip


class NoException(BaseException):
    """As trio's Cancelled and pytest's are."""


@pytest.fixture(params=UNRULY, ids=lambda made: made.__name__)
def unruly(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_an_unruly_error_is_tried_again_after(unruly: Callable[[], Exception]) -> None:
    """Whatever an error does when it is looked at, the step is tried again after it."""
    tried = 0

    @step(retry=Retry(attempts=3, wait=0))
    def flaky() -> int:
        nonlocal tried
        tried += 1
        if tried < 3:
            raise unruly()
        return tried

    @workflow
    async def trying() -> int:
        return await flaky()

    assert await life(trying, Core()) == Ended(Outcome.DONE, b"3")


async def test_an_unruly_error_fails_its_step_and_a_replay_alike(
    unruly: Callable[[], Exception],
) -> None:
    """A step's last unruly error is a StepFailed that names its class, live and on replay."""

    @step
    async def failing() -> None:
        raise unruly()

    @workflow
    async def catching() -> str:
        try:
            await failing()
        except StepFailed as error:
            return error.cause.rpartition(".")[2]
        return ""

    core = Core()
    ended = [await life(catching, core)]
    core.ended = None
    ended.append(await life(catching, core))

    named = f'"{getattr(unruly, "__name__")}"'.encode()  # noqa: B009
    assert ended == [Ended(Outcome.DONE, named)] * 2
    assert core.calls.count("save failing#1") == 1


async def test_an_unruly_error_fails_its_workflow(unruly: Callable[[], Exception]) -> None:
    """The instance fails with a report that names the class and where it was raised."""

    @workflow
    async def failing() -> None:
        raise unruly()

    ended = await life(failing, Core())

    assert ended is not None
    assert ended.outcome is Outcome.FAILED
    assert ended.error.startswith(f"{getattr(unruly, '__name__')}: ")  # noqa: B009
    assert "raise unruly()" in ended.error


async def test_an_unruly_error_fails_its_branch(unruly: Callable[[], Exception]) -> None:
    """Groups and races handle the errors of branches without asking them anything."""

    async def branch() -> None:
        raise unruly()

    @workflow
    async def grouping() -> str:
        try:
            async with TaskGroup() as group:
                group.create_task(branch(), name="one")
        except BaseExceptionGroup as errors:
            grouped = len(errors.exceptions)
        try:
            await race(one=branch())
        except BaseExceptionGroup as errors:
            return f"{grouped} {len(errors.exceptions)}"
        return ""

    assert await life(grouping, Core()) == Ended(Outcome.DONE, b'"1 1"')


@pytest.mark.parametrize("is_thread", [False, True])
async def test_an_error_that_is_no_exception_fails_the_step(*, is_thread: bool) -> None:
    """What `except Exception` would let by is recorded, so that the effect is not done again."""

    def raising() -> None:
        raise NoException("gone")

    async def raising_async() -> None:
        raise NoException("gone")

    failing = step(raising) if is_thread else step(raising_async)

    @workflow
    async def catching() -> str:
        try:
            await failing()
        except StepFailed as error:
            return error.message
        return ""

    ended = await life(catching, Core())

    assert ended is not None
    assert b"NoException, which is no Exception: gone" in ended.output


class Asking(Exception):
    def __init__(self, retry_after: object) -> None:
        super().__init__("later")
        self.retry_after = retry_after


class Unlucky:
    """What can't even be read."""

    def __float__(self) -> NoReturn:
        raise ZeroDivisionError

    def __str__(self) -> NoReturn:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (1e12, 0),
        (1e300, 0),
        (10**400, 0),
        ("1" * 5000, 0),
        (timedelta.max, 0),
        (timedelta.min, 0),
        (math.inf, 0),
        (-math.inf, 0),
        (math.nan, 0),
        (-5, 0),
        ("-5", 0),
        (Unlucky(), 0),
        ("soon", 0),
        (b"\xff", 0),
        ([], 0),
        (lambda: 3, 0),
        (datetime.max, 0),
        (datetime.min, 0),
        (30, 30),
        ("30", 30),
        (b"30", 30),
        (Decimal("30"), 30),
        (timedelta(seconds=30), 30),
        (NOW.timestamp() + 30, 30),
        (str(int(NOW.timestamp()) + 30), 30),
        ((NOW.timestamp() + 30) * 1000, 30),
        (NOW.timestamp() - 30, 0),
        (NOW + timedelta(seconds=30), 30),
        (datetime(2026, 1, 1, 0, 0, 30), 30),
        ("2026-01-01T00:00:30Z", 30),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30),
    ],
)
async def test_what_an_error_asks_for_is_waited_for_if_it_makes_sense(
    said: object, seconds: int
) -> None:
    """A number, a moment or an epoch is; what is absurd or can't be read asks for nothing."""
    assert retry_after(Asking(said), NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize("said", [1e12, timedelta.max, math.nan, NOW.timestamp(), Unlucky()])
async def test_an_absurd_retry_after_is_no_end_of_trying(said: object) -> None:
    """The step is tried again as if its error had said nothing."""
    tried = 0

    @step(retry=Retry(attempts=2, wait="1s"))
    async def flaky() -> int:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise Asking(said)
        return tried

    @workflow(suspend_after=0)
    async def trying() -> int:
        return await flaky()

    core = Core()
    began = core.now

    assert await lives(trying, core) == Ended(Outcome.DONE, b"2")
    assert core.now - began <= timedelta(seconds=1)


class Headers:
    def __init__(self, items: object) -> None:
        self.items = items


class Answer:
    def __init__(self, items: object) -> None:
        self.headers = Headers(items)


class Answered(Exception):
    def __init__(self, items: object) -> None:
        super().__init__("later")
        self.response = Answer(items)


@pytest.mark.parametrize(
    ("items", "seconds"),
    [
        (lambda: [("Retry-After", "30")], 30),
        (lambda: [(b"retry-after", b"30")], 30),
        (lambda: [(Mute(), "1"), ("retry-after", "30")], 30),
        (lambda: 17, 0),
        (lambda: [17], 0),
        (17, 0),
        (lambda one: None, 0),
    ],
)
async def test_headers_of_any_form_are_read_if_they_can_be(items: object, seconds: int) -> None:
    """Headers that can't be read ask for nothing."""
    assert retry_after(Answered(items), NOW) == timedelta(seconds=seconds)

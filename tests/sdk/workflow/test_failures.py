"""Failures come back as the errors they were."""

import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

import httpx
import pytest
from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import Ended, Outcome, StepFailed, step, workflow
from runtara_sdk.workflow.engine.retry import Kinds
from runtara_sdk.workflow.values import failures
from runtara_sdk.workflow.values.form import Form


class Declined(Exception):
    """Gives super() a text, where its __init__ takes a number."""

    def __init__(self, code: int) -> None:
        super().__init__(f"declined with {code}")
        self.code = code


class Short(Exception):
    """Gives super() what it takes, in the type that it says."""

    def __init__(self, missing: Decimal, *, of: str) -> None:
        super().__init__(missing)
        self.of = of


class Slotted(Exception):
    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        self.code = code


@dataclass
class Lost(Exception):
    parcel: str
    weight: Decimal


ERRORS = [
    Declined(5),
    Short(Decimal("1.50"), of="EUR"),
    Slotted(7),
    Lost("p-1", Decimal(3)),
    FileNotFoundError(2, "No such file", "orders.csv"),
    KeyError("sku"),
]


def parts(error: Exception) -> tuple[object, ...]:
    """What tells an error from others; dataclasses compare by their fields."""
    named = ("args", "code", "of", "parcel", "weight", "filename", "errno", "reason")
    return type(error), str(error), *(getattr(error, name, None) for name in named)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_answer_is_raised_as_itself(error: Exception) -> None:
    """Live and on replay it has all its fields, though its __init__ is not called."""
    seen: list[Exception] = []

    @step(raises=(type(error),))
    async def ask() -> None:
        raise error

    @workflow
    async def asking() -> None:
        try:
            await ask()
        except type(error) as answer:
            seen.append(answer)

    core = Core()
    await life(asking, core)
    core.ended = None
    await life(asking, core)

    assert len(seen) == 2
    assert {parts(each) for each in seen} == {parts(error)}


class Opaque(Exception):
    """Holds what JSON does not."""

    def __init__(self, code: int, lock: object) -> None:
        super().__init__(code)
        self.lock = lock


class Unshown(Exception):
    """Fails when it is shown, and when its fields are looked at."""

    __slots__ = ("_code",)

    def __str__(self) -> str:
        raise LookupError

    @property
    def response(self) -> None:
        raise LookupError


class Made(Exception):
    """Can't be made of its args alone."""

    def __new__(cls, *, code: int) -> "Made":
        return super().__new__(cls, code)

    def __init__(self, *, code: int) -> None:
        super().__init__(code)


async def caught(kinds: Kinds, error: Exception) -> tuple[list[Exception], int]:
    """What a workflow catches of a step that raises an error, live and on replay; and how often."""
    seen: list[Exception] = []
    calls: list[None] = []

    @step(raises=kinds)
    async def ask() -> None:
        calls.append(None)
        raise error

    @workflow
    async def asking() -> None:
        try:
            await ask()
        except Exception as answer:
            seen.append(answer)

    core = Core()
    await life(asking, core)
    core.ended = None
    await life(asking, core)
    return seen, len(calls)


async def test_an_answer_of_http_is_saved_with_its_status(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The request is made once; what is left out is logged, and says so when it is asked for."""
    request = httpx.Request("GET", "https://shop.example/orders/17")
    response = httpx.Response(404, request=request)
    error = httpx.HTTPStatusError("Not Found", request=request, response=response)

    seen, calls = await caught(httpx.HTTPStatusError, error)

    assert calls == 1
    assert len(seen) == 2
    for answer in seen:
        assert isinstance(answer, httpx.HTTPStatusError)
        assert str(answer) == "Not Found"
        assert answer.response.status_code == 404
        assert repr(answer.request) == "<Request('GET', 'https://shop.example/orders/17')>"
        with pytest.raises(AttributeError, match="'text' of this Response was not saved"):
            _ = answer.response.text
    (warning,) = caplog.records
    assert "is saved without" in warning.getMessage()
    assert ".response, a Response (all but status_code" in warning.getMessage()


async def test_no_text_of_a_request_is_saved_with_an_answer() -> None:
    """Its headers have the token that it was sent with, and its body a password."""
    body = httpx.Request("POST", "https://shop.example/", headers={"Authorization": "s3cret"})
    body.__dict__["body"] = "password=s3cret"
    body.__dict__["digits"] = 10**5000
    error = httpx.HTTPStatusError("No", request=body, response=httpx.Response(401, request=body))
    core = Core()

    @step(raises=httpx.HTTPStatusError)
    async def ask() -> None:
        raise error

    @workflow
    async def asking() -> None:
        with suppress(httpx.HTTPStatusError):
            await ask()

    assert await life(asking, core) == Ended(Outcome.DONE, b"null")
    assert not [state for state in core.states.values() if b"s3cret" in state]


async def test_an_answer_keeps_what_can_be_saved_of_it(caplog: pytest.LogCaptureFixture) -> None:
    """The rest stands for what it was, and its type is no matter of chance."""
    lock = threading.Lock()

    seen, calls = await caught(Opaque, Opaque(5, lock))

    assert calls == 1
    assert [type(answer) for answer in seen] == [Opaque, Opaque]
    assert [str(answer) for answer in seen] == ["5", "5"]
    assert [repr(answer.__dict__["lock"]) for answer in seen] == [repr(lock)] * 2
    assert "ask#1 has failed with" in caplog.text
    assert ".lock, a lock" in caplog.text


async def test_an_answer_keeps_values_that_nothing_annotates() -> None:
    """Such a value keeps its type, as the output of a command does."""
    error = subprocess.CalledProcessError(2, ("ls", "-l"), output=b"\xff", stderr=None)

    seen, _ = await caught(subprocess.CalledProcessError, error)

    for answer in seen:
        assert isinstance(answer, subprocess.CalledProcessError)
        assert (answer.returncode, answer.cmd) == (2, ("ls", "-l"))
        assert (answer.output, answer.stderr) == (b"\xff", None)
        assert str(answer) == str(error)


async def test_a_group_is_an_answer_with_all_that_it_holds() -> None:
    """It may hold groups and errors of the user's own."""
    inner = ExceptionGroup("inner", [Declined(5), OSError(2, "No such file", "x")])
    error = ExceptionGroup("outer", [inner, KeyError("sku")])

    seen, _ = await caught(ExceptionGroup, error)

    for answer in seen:
        assert isinstance(answer, ExceptionGroup)
        assert repr(answer) == repr(error)
        group, key = answer.exceptions
        assert isinstance(group, ExceptionGroup)
        declined = group.exceptions[0]
        assert isinstance(declined, Declined)
        assert declined.code == 5
        assert isinstance(key, KeyError)


async def test_an_error_of_a_group_that_is_found_nowhere_stands_for_itself() -> None:
    """It becomes a StepFailed, as a step's failure does."""

    class Local(Exception):
        pass

    seen, _ = await caught(ExceptionGroup, ExceptionGroup("outer", [Local("x")]))

    for answer in seen:
        assert isinstance(answer, ExceptionGroup)
        (stands,) = answer.exceptions
        assert isinstance(stands, StepFailed)
        assert stands.cause.endswith("Local")


@pytest.mark.parametrize("error", [Unshown(1), Made(code=1)], ids=lambda one: type(one).__name__)
async def test_an_answer_that_misbehaves_is_saved_all_the_same(error: Exception) -> None:
    """It is raised as itself, or as StepFailed if it can't be made again; the step runs once."""
    seen, calls = await caught(type(error), error)

    assert calls == 1
    assert len(seen) == 2
    assert type(seen[0]) is type(seen[1])
    assert isinstance(seen[0], Unshown | StepFailed)


async def test_a_failure_says_how_to_catch_it() -> None:
    """Its text names `raises`, since `except ValueError` does not catch it."""

    @step
    async def ask() -> None:
        raise Declined(5)

    @workflow
    async def asking() -> None:
        try:
            await ask()
        except Declined:
            return

    ended = await life(asking, Core())

    assert ended is not None
    assert ended.outcome is Outcome.FAILED
    assert "to catch it as Declined" in ended.error
    assert "@step(raises=Declined)" in ended.error


async def test_a_failure_that_was_saved_before_has_the_text_that_it_had() -> None:
    """It may have been given to another step, whose arguments are compared."""
    text = b'{"type": "ValueError", "message": "no", "attempts": 2, "traceback": ""}'

    failure = failures.decode("ask", "ask#1", text, (), Form.ALIASES)

    assert str(failure) == "step 'ask' (ask#1) failed after 2 attempts: ValueError: no"


async def test_a_failure_whose_text_is_no_text_is_saved() -> None:
    """Its text is saved escaped."""

    @step
    async def read() -> None:
        raise FileNotFoundError(2, "No such file", "caf\udce9.csv")

    @workflow
    async def reading() -> None:
        await read()

    ended = await life(reading, Core())

    assert ended is not None
    assert ended.outcome is Outcome.FAILED
    assert r"caf\udce9.csv" in ended.error

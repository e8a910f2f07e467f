"""The SDK's loggers: the user's logging takes part in no run."""

import logging
from collections.abc import Callable, Iterator

import pytest
from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import Ended, Outcome, Retry, step, workflow
from runtara_sdk.loggers import get_logger

SDK = logging.getLogger("runtara_sdk")


class Raising(logging.Handler):
    """Raises where a handler is asked, before it could catch anything itself."""

    def handle(self, record: logging.LogRecord) -> bool:
        raise RuntimeError("the handler is broken")


def refuse(*_: object, **__: object) -> logging.LogRecord:
    raise RuntimeError("the factory is broken")


def refuse_record(record: logging.LogRecord) -> bool:
    raise RuntimeError("the filter is broken")


def by_handler() -> None:
    SDK.addHandler(Raising())


def by_filter() -> None:
    handler = logging.StreamHandler()
    handler.addFilter(refuse_record)
    SDK.addHandler(handler)


def by_factory() -> None:
    logging.setLogRecordFactory(refuse)


@pytest.fixture
def clean() -> Iterator[None]:
    factory, handlers = logging.getLogRecordFactory(), list(SDK.handlers)
    yield
    logging.setLogRecordFactory(factory)
    SDK.handlers[:] = handlers


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("break_", [by_handler, by_filter, by_factory])
async def test_logging_that_raises_fails_no_step(
    break_: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The step is tried again as ever, and standard error shows what was raised."""
    attempts: list[int] = []

    @step(retry=Retry(attempts=2, wait=0))
    async def charge() -> str:
        attempts.append(1)
        if len(attempts) < 2:
            raise OSError("no answer")
        return "paid"

    @workflow
    async def paying() -> str:
        return await charge()

    break_()

    assert await life(paying, Core()) == Ended(Outcome.DONE, b'"paid"')
    assert "is broken" in capsys.readouterr().err


def test_a_record_names_the_line_that_logs(caplog: pytest.LogCaptureFixture) -> None:
    """It does not name the guard between that line and logging."""
    get_logger("runtara_sdk.test").warning("careful: %s", "hot")

    (record,) = caplog.records
    assert record.getMessage() == "careful: hot"
    assert record.funcName == "test_a_record_names_the_line_that_logs"

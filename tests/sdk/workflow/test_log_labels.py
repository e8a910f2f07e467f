"""Every log record says where it was made, whatever logging the user has set up."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from tests.sdk.workflow.memory_store import Core, life
from tests.sdk.workflow.probe import probe

from runtara_sdk import Retry, step, workflow

other = logging.getLogger("library.of.others")


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def kept() -> Iterator[Kept]:
    """A handler of the user's, with the factory as it was before and after."""
    factory, handler = logging.getLogRecordFactory(), Kept()
    other.addHandler(handler)
    yield handler
    other.removeHandler(handler)
    logging.setLogRecordFactory(factory)


@step(retry=Retry(attempts=2, wait="0s"))
async def flaky() -> None:
    other.warning("in a step", extra={"step": "the user's"})
    if not probe.seen:
        probe.seen.append("failed")
        raise OSError


@step
def in_thread() -> None:
    other.warning("in a thread")


@workflow(name="fulfil")
async def flow() -> None:
    other.warning("between steps")
    await flaky()
    in_other = in_thread.keyed("k")
    await in_other()


def labels(record: Any) -> tuple[object, ...]:
    return (
        record.runtara_instance,
        record.runtara_workflow,
        record.runtara_run,
        record.runtara_step,
        record.runtara_attempt,
    )


async def test_a_record_says_instance_workflow_run_step_and_attempt(kept: Kept) -> None:
    """This holds in steps, in their threads and outside of them. The user's own fields stay."""
    await life(flow, Core())
    other.warning("outside")

    assert [labels(record) for record in kept.records] == [
        ("i-1", "fulfil", 1, "", 0),
        ("i-1", "fulfil", 1, "flaky#1", 1),
        ("i-1", "fulfil", 1, "flaky#1", 2),
        ("i-1", "fulfil", 1, "in_thread~k", 1),
        ("", "", 0, "", 0),
    ]
    assert kept.records[1].step == "the user's"
    assert [str(record.runtara) for record in kept.records[1::3]] == [
        " [i-1 fulfil run 1 flaky#1 attempt 1]",
        "",
    ]


async def test_a_factory_that_is_set_later_is_kept_below(kept: Kept) -> None:
    class Own(logging.LogRecord): ...

    probe.seen.append("failed")
    await life(flow, Core())
    logging.setLogRecordFactory(Own)
    await life(flow, Core())

    assert isinstance(kept.records[-1], Own)
    assert labels(kept.records[-1])[0] == "i-1"

"""What core.md names as the largest values is kept whole by every adapter."""

import pytest
from tests.contract.database import Database
from tests.contract.states import put_instance
from tests.support.clock import START

from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    CustomSignal,
    Ending,
    NewInstance,
    Registration,
    Saved,
    Signal,
)
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, WORKING, SignalType, State

pytestmark = pytest.mark.slow

ID = "i" * 1024
ME = Caller(ID)
LARGEST = bytes(63 * 1024 * 1024)
LARGEST_SIGNAL = bytes(512 * 1024)


async def test_the_largest_state_is_found_with_the_largest_signals(
    persistence: Persistence, database: Database
) -> None:
    """Whether they fit one answer is not storage's business."""
    before = await put_instance(database, State.RUNNING, ID)
    signal = Signal(SignalType.CANCEL, LARGEST_SIGNAL)
    await persistence.signals.send(ID, signal, when=OPEN, at=START)
    custom = CustomSignal(ID, LARGEST_SIGNAL)
    await persistence.signals.send_custom(ID, custom, when=OPEN, at=START)
    write = CheckpointWrite(ID, LARGEST)

    await persistence.checkpoints.save(ME, write, when=WORKING, at=START)
    found = await persistence.checkpoints.save(ME, write, when=WORKING, at=START)

    read = await persistence.checkpoints.get(ID, ID)
    assert found == Saved(before, None, signal, LARGEST_SIGNAL, is_large=True)
    assert read is not None
    assert read.state == LARGEST


async def test_the_largest_input_output_and_error_are_kept_together(
    persistence: Persistence,
) -> None:
    await persistence.instances.create(NewInstance(ID, ID, LARGEST), at=START)
    ending = Ending(State.FAILED, output=LARGEST, error="x" * len(LARGEST))

    given = await persistence.instances.register(Registration(ID, ID), when=OPEN, at=START)
    await persistence.instances.finish(ME, ending, when=OPEN, at=START)

    kept = await persistence.instances.get(ID)
    assert given.input == LARGEST
    assert kept is not None
    assert (kept.output, kept.error) == (ending.output, ending.error)

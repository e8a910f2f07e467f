"""Sending values: when the engine of launches is to claim again."""

from datetime import timedelta

import pytest
from tests.support.clock import FrozenClock

from runtara_domain.launching.operations import InstanceOperations, LaunchingElsewhere
from runtara_domain.model import Caller, Claim, CustomSignal, Registration, Sleep
from runtara_domain.status import OPEN
from runtara_persistence.memory import MemoryPersistence


class Counting(LaunchingElsewhere):
    """Counts how often it is told to claim."""

    count = 0

    def recheck(self) -> None:
        Counting.count += 1


@pytest.mark.parametrize(("is_asleep", "rechecks"), [(True, 1), (False, 0)])
async def test_only_a_value_for_a_sleeping_instance_asks_for_a_claim(
    monkeypatch: pytest.MonkeyPatch, is_asleep: bool, rechecks: int
) -> None:
    """A second value changes nothing, and asks for none either."""
    monkeypatch.setattr(Counting, "count", 0)
    clock = FrozenClock()
    async with MemoryPersistence() as persistence:
        operations = InstanceOperations(persistence, clock, lambda: Counting(clock))
        me = Registration("i", "t")
        await persistence.instances.register(me, when=OPEN, at=clock.now())
        if is_asleep:
            sleep = Sleep("nap", b"", timedelta(hours=1), detach=True)
            claim = Claim("core", clock.now() + timedelta(hours=1))
            await persistence.checkpoints.sleep(
                Caller("i"), sleep, when=OPEN, claim=claim, earliest=None, at=clock.now()
            )
        for _ in range(2):
            await operations.send("i", CustomSignal("word", b"7"))
    assert Counting.count == rechecks

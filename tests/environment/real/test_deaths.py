"""A thousand deaths of ten kinds: each has its cause, and what died is launched again soon."""

import asyncio
import os
import random
import signal
import statistics
import sys
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.environment.conftest import TENANT, Here

from runtara_domain.model.interventions import Stop
from runtara_domain.model.stored_images import Image
from runtara_domain.status import State

# The first life notes when it is about to die; the second completes.
LIFE = """
cd "$RUNTARA_WORKSPACE_DIR"
if [ -e died ]; then printf '{"status": "completed"}' > "$OLDPWD/output.json"; exit 0; fi
date +%s%N > died
"""
WAITS = "echo $$ > waits; exec sleep 1000"
KINDS: dict[str, tuple[str, dict[str, object], tuple[str, int | None, int | None]]] = {
    "exits 0": ("exit 0", {}, ("exited", 0, None)),
    "exits 3": ("exit 3", {}, ("exited", 3, None)),
    "exits 255": ("exit 255", {}, ("exited", 255, None)),
    "kills itself": ("kill -KILL $$", {}, ("killed", None, 9)),
    "segmentation fault": ("kill -SEGV $$", {}, ("killed", None, 11)),
    "terminated": ("kill -TERM $$", {}, ("killed", None, 15)),
    "killed": (WAITS, {}, ("killed", None, 9)),
    "out of memory": ("exec tail /dev/zero", {"memory_mb": 16}, ("out_of_memory", None, 9)),
    "times out": ("exec sleep 1000", {"timeout_s": 1, "grace_s": 0}, ("timed_out", None, 9)),
    "stopped": (WAITS, {}, ("stopped", None, 15)),
}
ENDS = {"times out": State.FAILED, "stopped": State.CANCELLED}


async def end_by_hand(here: Here, kind: str, instance_id: str) -> None:
    """Do to a waiting process what its kind of death needs."""
    waits = here.placement.folder(TENANT, instance_id, "x").workspace / "waits"

    async def is_waiting() -> bool:
        return waits.exists() and bool(waits.read_text().strip())

    if kind not in ("killed", "stopped"):
        return
    await here.until(is_waiting)
    (waits.parent / "died").write_text(str(datetime.now(UTC).timestamp() * 1e9))
    if kind == "killed":
        with suppress(ProcessLookupError):
            os.kill(int(waits.read_text()), signal.SIGKILL)
        return
    stop = Stop(instance_id, timedelta(0), "enough")
    here.launcher.stopping(await here.persistence.launches.stop(stop, at=here.launcher.now()))


async def live(here: Here, kind: str, image: Image, delays: list[float]) -> tuple[object, ...]:
    """Start an instance, let its first process die; gives the cause, code and signal."""
    instance_id = await here.start(image)
    await end_by_hand(here, kind, instance_id)
    async with asyncio.timeout(120):
        # Seldom, because many are looked for at once.
        while not (await here.instance(instance_id)).state.is_final:  # noqa: ASYNC110  # Processes tell this one nothing.
            await asyncio.sleep(0.2)
    ended = await here.ended(instance_id)
    first, *others = await here.launches(instance_id)
    assert ended.state is ENDS.get(kind, State.COMPLETED), (kind, ended, first, others)
    if others:
        died = here.placement.folder(TENANT, instance_id, "x").workspace / "died"
        died_at = float(died.read_text()) / 1e9
        delays.append(others[0].created_at.timestamp() - died_at)
    return first.cause, first.exit_code, first.exit_signal


async def deaths(here: Here, count: int, seed: int) -> None:
    kinds = [kind for kind in KINDS for _ in range(count)]
    random.Random(seed).shuffle(kinds)
    delays: list[float] = []
    found: Counter[tuple[str, tuple[object, ...]]] = Counter()
    at_once = asyncio.Semaphore(16)
    async with here.environment():
        images = {
            kind: await here.shell(LIFE + script, **more)
            for kind, (script, more, _) in KINDS.items()
        }

        async def one(kind: str) -> None:
            async with at_once:
                found[kind, await live(here, kind, images[kind], delays)] += 1

        async with asyncio.TaskGroup() as group:
            for kind in kinds:
                group.create_task(one(kind))
    assert found == {(kind, cause): count for kind, (_, _, cause) in KINDS.items()}
    middle, last = statistics.median(delays), max(delays)
    told = f"{len(kinds)} deaths; launched again after {middle:.2f} s in the median, {last:.2f} s"
    sys.stdout.write(f"{told} at most\n")


async def test_each_of_ten_kinds_of_death_has_its_cause(here: Here, tmp_path: Path) -> None:
    """A process that died is launched again, unless its instance should end."""
    await deaths(here, 1, 1)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1])
async def test_a_thousand_deaths_have_their_causes(here: Here, seed: int) -> None:
    """The same of a hundred of each kind, in a seeded order."""
    await deaths(here, 100, seed)

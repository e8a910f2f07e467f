"""Taking a copy of an instance, and putting it in again."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy
from tests.contract.database import Database, Row
from tests.contract.every_database import empty
from tests.contract.launching import claim, hold_lease, launch, put_image, start
from tests.contract.states import EARLIER, TENANT, put_checkpoint, put_instance
from tests.support.clock import START

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model import Caller, Ending, Registration, instance_copies
from runtara_domain.model.instance_copies import Copied, PutCopy
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import FINAL, OPEN, InstanceStatus, SignalType, State
from runtara_persistence.transactions import copying

RICH: Row = {
    "input": b"order",
    "workflow": "orders",
    "code_version": "2",
    "waits": "[]",
    "priority": 3,
    "queue": "slow",
    "timeout_ms": 5000,
    "env": '{"MODE": "fast"}',
    "memory_peak_bytes": 1,
    "cpu_usage_usec": 2,
    "stderr": "said",
    "progress": b"half",
    "started_at": EARLIER,
    "last_activity_at": EARLIER,
}


async def put_all(database: Database, state: State, **columns: object) -> None:
    """Insert an instance with all that goes along."""
    await put_instance(database, state, **{**RICH, **columns})
    await put_checkpoint(database, "b")
    await put_checkpoint(database, "a", wake_at=EARLIER)
    await database.put_attempt("i", "a", 1)
    for kind, payload in (("started", None), ("custom", b"x")):
        event: Row = {"instance_id": "i", "event_type": kind, "payload": payload}
        await database.put("instance_events", {**event, "created_at": EARLIER})
    await database.put_custom_signal("i", "z", b"first")
    await database.put_custom_signal("i", "y", b"second")


async def taken(persistence: Persistence) -> Copied:
    found = await persistence.launches.copy("i")
    assert found is not None
    return found


async def removed(database: Database) -> None:
    """Delete the instance with all that belongs to it, however it stands."""
    for table in (
        *("checkpoints", "instance_events", "pending_signals", "pending_checkpoint_signals"),
        *("launches", "instance_images", "instances"),
    ):
        await database.delete(table, "instance_id", "i")


async def stored(database: Database) -> dict[str, list[Row]]:
    """Give what is stored, without ids of rows."""
    tables = await database.snapshot()
    return {
        name: [{key: value for key, value in row.items() if key != "id"} for row in rows]
        for name, rows in tables.items()
    }


@pytest.mark.parametrize("state", sorted({*FINAL, State.PAUSED}))
async def test_what_is_put_in_is_what_was_taken(
    persistence: Persistence, database: Database, state: State
) -> None:
    """Its history has the same order. An event names its origin."""
    await put_all(database, state)
    before = await stored(database)
    copied = await taken(persistence)
    await removed(database)

    put = await persistence.launches.put_copy(copied.copy, "file", image_id=None, at=START)

    after = await stored(database)
    *events, imported = after.pop("instance_events")
    assert (copied.state, put) == (state, PutCopy(created=True))
    assert events == before.pop("instance_events")
    assert (imported["subtype"], imported["payload"]) == ("runtara.imported", b"file")
    [row] = before["instances"]
    own = {"parent_id": None, "launch_id": None, "ended_run": 2, "wake_claim_until": None}
    [kept] = after["instances"]
    assert kept == row | own | {"wake_claim_by": None}
    assert after == before | {"instances": [kept]}
    assert await taken(persistence) == replace(
        copied, copy=replace(copied.copy, events=(await taken(persistence)).copy.events)
    )


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_what_was_open_waits_to_be_resumed(
    persistence: Persistence, database: Database, state: State
) -> None:
    """Nothing launches it before, and it then begins another run."""
    await put_all(database, state)
    copied = await taken(persistence)
    await removed(database)
    await persistence.launches.put_copy(copied.copy, "file", image_id=None, at=START)

    run_state = await persistence.instances.run_state("i")
    resumed = await persistence.launches.resume("i", at=START)
    registered = await persistence.instances.register(
        Registration("i", TENANT), when=OPEN, at=START
    )

    assert run_state is not None
    assert (run_state.state, resumed) == (State.PAUSED, State.PAUSED)
    assert registered.run == 3


async def test_an_id_that_is_taken_stays_as_it_is(
    persistence: Persistence, database: Database
) -> None:
    """The outcome says whether it is from the same file."""
    await put_all(database, State.COMPLETED)
    copied = await taken(persistence)
    before = await database.snapshot()

    taken_ = await persistence.launches.put_copy(copied.copy, "file", image_id=None, at=START)
    await removed(database)
    await persistence.launches.put_copy(copied.copy, "file", image_id=None, at=START)
    after = await database.snapshot()
    same = await persistence.launches.put_copy(copied.copy, "file", image_id=None, at=START)
    other = await persistence.launches.put_copy(copied.copy, "other", image_id=None, at=START)

    assert (taken_, same, other) == (PutCopy(), PutCopy(is_same=True), PutCopy())
    assert await database.snapshot() == after
    assert len(after["instance_events"]) == len(before["instance_events"]) + 1


async def test_it_runs_the_image_that_is_named(
    persistence: Persistence, database: Database
) -> None:
    """If it is there; the copy tells the image that it had."""
    image = await put_image(persistence)
    await start(persistence, "i", image_id=image.image_id)
    copied = await taken(persistence)
    await removed(database)

    gone = await persistence.launches.put_copy(copied.copy, "file", image_id="none", at=START)
    put = await persistence.launches.put_copy(
        copied.copy, "file", image_id=image.image_id, at=START
    )

    one = copied.copy.instance
    assert (one.image_id, one.image_name) == (image.image_id, "orders")
    assert (gone, put) == (PutCopy(image_is_found=False), PutCopy(created=True))
    assert (await taken(persistence)).copy.instance.image_id == image.image_id


async def test_a_copy_has_what_goes_on_with_it(
    persistence: Persistence, database: Database
) -> None:
    """Its launch, a signal, and open relatives of its tenant."""
    launched = await launch(persistence)
    await persistence.instances.finish(Caller("i"), Ending(State.COMPLETED), when=OPEN, at=START)
    ending = await taken(persistence)
    await removed(database)
    await put_instance(database, State.RUNNING, "p")
    await put_instance(database, State.PAUSED, parent_id="p")
    await put_instance(database, State.RUNNING, "c", parent_id="i")
    await put_instance(database, State.RUNNING, "b", parent_id="i", tenant_id="other")
    await put_instance(database, State.COMPLETED, "a", parent_id="i")
    await database.put_signal("i", SignalType.CANCEL)
    found = await taken(persistence)

    assert ending.open_launch_id == launched.launch_id
    assert (found.open_parent_id, found.open_child_id) == ("p", "c")
    assert (ending.pending_signal, found.pending_signal) == (None, SignalType.CANCEL)
    assert await persistence.launches.copy("unknown") is None


async def test_a_history_that_is_too_large_is_not_read(
    persistence: Persistence, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each record counts besides its state or payload."""
    await put_all(database, State.COMPLETED)
    size = 7 * 1000 + len(b"firstfirstxfirstsecond")
    monkeypatch.setattr(instance_copies, "MOST_COPIED", size)
    assert await persistence.launches.copy("i") is not None
    monkeypatch.setattr(instance_copies, "MOST_COPIED", size - 1)
    with pytest.raises(InvalidValue, match=f"at most {size - 1} bytes, got {size}: let it end"):
        await persistence.launches.copy("i")


@pytest.mark.parametrize("timeout_ms", [10**17, -(10**17)])
async def test_a_timeout_out_of_range_is_clamped(
    persistence: Persistence, database: Database, timeout_ms: int
) -> None:
    """One that another program has stored neither ends a claim nor hides the instance."""
    image = await put_image(persistence)
    await hold_lease(persistence, "e")
    columns: Row = {"image_id": image.image_id, "timeout_ms": timeout_ms}
    await put_instance(database, State.PENDING, run=0, **columns)

    shown = await persistence.launches.view("i", at=START)
    [claimed] = await claim(persistence)

    assert shown is not None
    assert (
        claimed.timeout
        == shown.timeout
        == (values.LONGEST_TIMEOUT if timeout_ms > 0 else timedelta(0))
    )


async def test_a_long_history_keeps_its_order(persistence: Persistence) -> None:
    """Several statements write it, and several requests read it."""
    saved = [
        instance_copies.CopiedCheckpoint(
            checkpoint_id=f"c{number * 7919 % 600}", state=b"%d" % number, created_at=EARLIER
        )
        for number in range(600)
    ]
    instance = instance_copies.CopiedInstance(
        instance_id="i", tenant_id=TENANT, status=InstanceStatus.COMPLETED, created_at=EARLIER,
        run_epoch=1, priority=0,
    )  # fmt: skip
    copy = instance_copies.InstanceCopy(instance=instance, checkpoints=saved)
    put = await persistence.launches.put_copy(copy, "file", image_id=None, at=START)

    assert put == PutCopy(created=True)
    assert (await taken(persistence)).copy.checkpoints == saved


async def test_no_request_for_a_large_copy_takes_much_more_than_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request on PostgreSQL ends with the record that exceeds them."""
    requests: list[list[int]] = []
    fetch = PoolConnectionProxy.fetch

    async def counted(self: Any, query: str, *parameters: object, **options: Any) -> list[Record]:
        rows: list[Record] = await fetch(self, query, *parameters, **options)
        requests.append([len(row["state"]) for row in rows if "state" in row])
        return rows

    async with empty("postgres", tmp_path) as database, database.connect() as persistence:
        await put_instance(database, State.COMPLETED)
        for number, size in enumerate((10, 10, 2500, 900, 900, 900, 1)):
            await put_checkpoint(database, f"c{number}", state=b"x" * size)
        monkeypatch.setattr(copying, "_MOST_BYTES", 2000)
        monkeypatch.setattr(PoolConnectionProxy, "fetch", counted)
        copied = await taken(persistence)

    assert [one for one in requests if one] == [[10, 10, 2500], [900, 900, 900], [1]]
    assert [one.checkpoint_id for one in copied.copy.checkpoints] == [f"c{n}" for n in range(7)]

"""Listing checkpoints: order, pages, and what an entry tells."""

from datetime import datetime, timedelta

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, WAKE, put_checkpoint, put_instance
from tests.support.clock import START

from runtara_domain.model import (
    Caller,
    CheckpointEntry,
    CheckpointFilter,
    CheckpointPage,
    CheckpointWrite,
)
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import WORKING, State

ME = Caller("i")
SHOWN = 64 * 1024


def names(page: CheckpointPage) -> list[str]:
    return [entry.checkpoint_id for entry in page.entries]


async def test_checkpoints_come_in_the_order_they_were_saved(
    persistence: Persistence, database: Database
) -> None:
    """The order is not by id or time. Finding a checkpoint again doesn't move it."""
    await put_instance(database, State.RUNNING)
    for number, name in enumerate(("b", "c", "a", "b")):
        await persistence.checkpoints.save(
            ME, CheckpointWrite(name, b""), when=WORKING, at=START - timedelta(seconds=number)
        )

    page = await persistence.checkpoints.page("i")

    ids = [entry.id for entry in page.entries]
    assert names(page) == ["b", "c", "a"]
    assert ids == sorted(set(ids))
    assert all(entry_id > 0 for entry_id in ids)


async def test_an_entry_describes_the_checkpoint(
    persistence: Persistence, database: Database
) -> None:
    """It has the deadline if there is one, and no attempts if there were none."""
    await put_instance(database, State.RUNNING)
    await put_checkpoint(database, "a", wake_at=WAKE)
    await put_checkpoint(database, "b", state=b"\x00\xff")
    ids = [row["id"] for row in await database.rows("checkpoints")]

    page = await persistence.checkpoints.page("i")

    assert page == CheckpointPage(
        (
            CheckpointEntry(ids[0], "a", b"first", EARLIER, 0, None, WAKE),
            CheckpointEntry(ids[1], "b", b"\x00\xff", EARLIER, 0, None, None),
        ),
        next_id=None,
    )


@pytest.mark.parametrize(
    ("size", "shown"), [(0, True), (SHOWN - 1, True), (SHOWN, True), (SHOWN + 1, False)]
)
async def test_a_state_over_64_kib_is_absent(
    persistence: Persistence, database: Database, size: int, shown: bool
) -> None:
    """An empty state is there, and empty; whether many are large or few, all are listed."""
    await put_instance(database, State.RUNNING)
    state = b"\x00" * size
    for name in ("a", "b"):
        await put_checkpoint(database, name, state=state)

    page = await persistence.checkpoints.page("i")

    assert [entry.state for entry in page.entries] == [state if shown else None] * 2


async def test_a_list_may_ask_for_smaller_states_only(
    persistence: Persistence, database: Database
) -> None:
    await put_instance(database, State.RUNNING)
    await put_checkpoint(database, "a", state=b"four")
    await put_checkpoint(database, "b", state=b"fives")

    page = await persistence.checkpoints.page("i", largest_state=4)

    assert [entry.state for entry in page.entries] == [b"four", None]


@pytest.mark.parametrize(
    ("limit", "pages"),
    [
        (1, [["a"], ["b"], ["c"], ["d"]]),
        (2, [["a", "b"], ["c", "d"]]),
        (3, [["a", "b", "c"], ["d"]]),
        (4, [["a", "b", "c", "d"]]),
        (5, [["a", "b", "c", "d"]]),
    ],
)
async def test_pages_follow_each_other_to_the_end(
    persistence: Persistence, database: Database, limit: int, pages: list[list[str]]
) -> None:
    """`next_id` is None with the last of them, full or not."""
    await put_instance(database, State.RUNNING)
    await put_instance(database, State.RUNNING, "other")
    for name in "abcd":
        await put_checkpoint(database, name)
        await put_checkpoint(database, name, "other")
        await database.put_attempt("i", name, 1)
    read: list[list[str]] = []
    after_id: int | None = 0

    while after_id is not None:
        page = await persistence.checkpoints.page("i", after_id=after_id, limit=limit)
        read.append(names(page))
        after_id = page.next_id
        assert len(read) <= len(pages)

    assert read == pages


async def test_what_is_saved_meanwhile_comes_on_a_later_page(
    persistence: Persistence, database: Database
) -> None:
    """No checkpoint is listed twice or left out."""
    await put_instance(database, State.RUNNING)
    for name in "abc":
        await put_checkpoint(database, name)
    first = await persistence.checkpoints.page("i", limit=2)
    await put_checkpoint(database, "A")

    assert first.next_id is not None
    second = await persistence.checkpoints.page("i", after_id=first.next_id, limit=2)

    assert (names(first), names(second), second.next_id) == (["a", "b"], ["c", "A"], None)


async def test_behind_the_last_there_is_nothing(
    persistence: Persistence, database: Database
) -> None:
    """A reader may go on from the last id it has seen, however large."""
    await put_instance(database, State.RUNNING)
    await put_checkpoint(database)
    last = (await persistence.checkpoints.page("i")).entries[0].id

    pages = [
        await persistence.checkpoints.page("i", after_id=after_id)
        for after_id in (last, last + 1, 2**63 - 1)
    ]

    assert pages == [CheckpointPage((), None)] * 3


async def test_failed_attempts_are_counted_with_their_checkpoint(
    persistence: Persistence, database: Database
) -> None:
    """The count has the time of the newest. Checkpoints with a similar id don't count."""
    await put_instance(database, State.RUNNING)
    await put_instance(database, State.RUNNING, "other")
    ids = ["c", "c1", "C", "c::retry::", "c%", "c_", "é🦀"]
    times = [EARLIER, START, START - timedelta(milliseconds=1)]
    for name in ids:
        await put_checkpoint(database, name)
    for number, created_at in zip((9, 10, 1), times, strict=True):
        await put_attempt(database, "c", number, created_at)
    await put_attempt(database, "é🦀", 2**31 - 1, EARLIER)
    await put_attempt(database, "not saved", 1, EARLIER)
    await put_attempt(database, "C", 1, EARLIER, instance_id="other")

    page = await persistence.checkpoints.page("i")

    found = {entry.checkpoint_id: entry for entry in page.entries}
    counts = {name: (one.failed_attempts, one.last_attempt_at) for name, one in found.items()}
    assert list(found) == ids
    assert counts == dict.fromkeys(ids, (0, None)) | {"c": (3, START), "é🦀": (1, EARLIER)}


async def put_attempt(
    database: Database, name: str, number: int, created_at: datetime, instance_id: str = "i"
) -> None:
    await put_checkpoint(
        database,
        f"{name}::retry::{number}",
        instance_id,
        state=b"",
        is_retry_attempt=True,
        attempt_number=number,
        created_at=created_at,
    )


async def test_count_gives_their_number(persistence: Persistence, database: Database) -> None:
    """Only this instance's checkpoints count, and no attempts."""
    await put_instance(database, State.RUNNING)
    await put_instance(database, State.RUNNING, "other")
    for name in "abc":
        await put_checkpoint(database, name)
        await database.put_attempt("i", name, 1)
    await put_checkpoint(database, "a", "other")

    counts = [
        await persistence.checkpoints.count(CheckpointFilter(name))
        for name in ("i", "other", "unknown")
    ]

    assert counts == [3, 1, 0]


@pytest.mark.parametrize("state", sorted(State))
async def test_lists_are_read_in_any_state_and_move_nothing(
    persistence: Persistence, database: Database, state: State
) -> None:
    """An unknown instance has none, and none are made for it."""
    await put_instance(database, state)
    await put_checkpoint(database)
    stored = await database.snapshot()

    found = await persistence.checkpoints.page("i")
    none = await persistence.checkpoints.page("unknown")

    assert (names(found), none) == (["c"], CheckpointPage((), None))
    assert await database.snapshot() == stored


async def test_the_newest_come_first_with_their_sizes(
    persistence: Persistence, database: Database
) -> None:
    """Retry attempts are no checkpoints; id and times choose, offset and limit cut."""
    await put_instance(database, State.RUNNING)
    second = timedelta(seconds=1)
    for number in range(4):
        at = START + number * second
        await put_checkpoint(database, f"c{number}", state=bytes(number), created_at=at)
    await put_attempt(database, "c1", 1, START)

    async def newest(which: CheckpointFilter, **part: int) -> list[tuple[str, int]]:
        page = await persistence.checkpoints.newest(which, **part)
        return [(one.checkpoint_id, one.size_bytes) for one in page]

    which = CheckpointFilter("i", since=START + second, until=START + 3 * second)
    assert await newest(CheckpointFilter("i")) == [("c3", 3), ("c2", 2), ("c1", 1), ("c0", 0)]
    assert await newest(CheckpointFilter("i"), offset=1, limit=2) == [("c2", 2), ("c1", 1)]
    assert await newest(which) == [("c2", 2), ("c1", 1)]
    assert await newest(CheckpointFilter("i", checkpoint_id="c1")) == [("c1", 1)]
    assert await persistence.checkpoints.count(which) == 2


async def test_small_states_come_along_where_they_are_asked_for(
    persistence: Persistence, database: Database
) -> None:
    await put_instance(database, State.RUNNING)
    for number in range(3):
        at = START + timedelta(seconds=number)
        await put_checkpoint(database, f"c{number}", state=bytes(number), created_at=at)

    async def states(largest: int | None) -> list[bytes | None]:
        which = CheckpointFilter("i")
        page = await persistence.checkpoints.newest(which, largest_state=largest)
        return [one.state for one in page]

    assert await states(None) == [None, None, None]
    assert await states(0) == [None, None, b""]
    assert await states(1) == [None, b"\0", b""]
    assert await states(2) == [b"\0\0", b"\0", b""]

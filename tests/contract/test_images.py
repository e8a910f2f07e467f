"""Images: versions of a name, their bytes, and what uses them."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.contract.database import Database
from tests.contract.launching import (
    KILLED,
    SECOND,
    claim,
    close,
    hold_lease,
    launch,
    put_image,
    start,
)
from tests.contract.states import TENANT, put_instance
from tests.support.clock import START

from runtara_domain.error import InvalidValue
from runtara_domain.model import Caller, Ending
from runtara_domain.model.images import MAX_CHUNK_BYTES, ImageFilter, NewImage
from runtara_domain.model.limits import Limit, Scope
from runtara_domain.model.stored_images import RunnerType
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, State

NEW = NewImage(
    image_id="new",
    tenant_id=TENANT,
    name="orders",
    runner_type=RunnerType.NATIVE,
    sha256="0" * 64,
    size_bytes=3,
)


async def put_chunks(persistence: Persistence, upload_id: str, *chunks: bytes) -> None:
    for position, data in enumerate(chunks):
        await persistence.images.put_chunk(upload_id, position, data, at=START)


async def test_a_name_points_to_its_newest_version(persistence: Persistence) -> None:
    """The same bytes, runner and metadata are the newest version again; an older one is not."""
    first = await put_image(persistence)
    same = await put_image(persistence)
    second = await put_image(persistence, workflow="billing")
    third = await put_image(persistence, image_id="third")
    current = await persistence.images.current(TENANT, "orders")

    assert same == first
    assert [one.version for one in (first, second, third)] == [1, 2, 3]
    assert (second.workflow, third.workflow) == ("billing", "orders")
    assert current == third
    assert await persistence.images.get(first.image_id, TENANT) == replace(first, is_current=False)


async def test_another_tenants_image_is_none(persistence: Persistence) -> None:
    """It is treated as a missing one."""
    image = await put_image(persistence)

    assert await persistence.images.get(image.image_id, "other") is None
    assert await persistence.images.get("unknown", TENANT) is None
    refused = await persistence.images.delete(image.image_id, "other", at=START)
    assert not refused.is_found
    started = await start(persistence, image_id=image.image_id, tenant_id="other")
    assert (started.created, started.image_is_found) == (False, False)


async def test_bytes_are_read_as_they_were_put_in(persistence: Persistence) -> None:
    """Chunk after chunk, None behind the last; an upload that was given up is forgotten."""
    large = bytes(MAX_CHUNK_BYTES)
    await put_chunks(persistence, "u", large, b"end")
    await put_chunks(persistence, "u", large)
    await put_chunks(persistence, "given up", b"x")
    image = replace(NEW, size_bytes=MAX_CHUNK_BYTES + 3)

    await persistence.images.register(image, "u", at=START)
    swept = [
        await persistence.images.sweep(before) for before in (START, START + SECOND, START + SECOND)
    ]

    chunks = [await persistence.images.chunk("new", position) for position in range(3)]
    assert chunks == [large, b"end", None]
    assert swept == [0, 1, 0]
    with pytest.raises(InvalidValue, match="position"):
        await persistence.images.put_chunk("u", 1, b"other", at=START)
    with pytest.raises(InvalidValue, match="data"):
        await persistence.images.put_chunk("v", 0, bytes(MAX_CHUNK_BYTES + 1), at=START)


@pytest.mark.parametrize(
    ("size", "positions"), [(4, (0, 1)), (2, (0, 1)), (3, (0, 2)), (3, (1, 2))]
)
async def test_an_upload_that_is_not_whole_is_refused_and_nothing_is_kept(
    persistence: Persistence, database: Database, size: int, positions: tuple[int, ...]
) -> None:
    """Its chunks must be all there, and have the size that is stated."""
    for position, data in zip(positions, (b"ab", b"c"), strict=True):
        await persistence.images.put_chunk("u", position, data, at=START)

    with pytest.raises(InvalidValue, match="upload"):
        await persistence.images.register(replace(NEW, size_bytes=size), "u", at=START)

    assert await database.rows("images") == []


async def test_of_concurrent_registrations_each_sees_the_one_before(
    persistence: Persistence, neighbour: Persistence
) -> None:
    """So each has a version of its own, and one is current."""
    images = await asyncio.gather(
        *(
            put_image(one, code=str(number).encode())
            for number, one in enumerate((persistence, neighbour, persistence, neighbour))
        )
    )

    assert sorted(image.version for image in images) == [1, 2, 3, 4]
    newest = await persistence.images.current(TENANT, "orders")
    assert newest is not None
    assert newest.version == 4


async def test_an_image_in_use_is_not_deleted(persistence: Persistence) -> None:
    """It tells by how many open instances; then it is hidden, and history shows it."""
    older = await put_image(persistence, code=b"older")
    launched = await launch(persistence)
    assert launched.image is not None
    image_id = launched.image.image_id
    await start(persistence, "second", image_id=image_id)

    refused = await persistence.images.delete(image_id, TENANT, at=START)
    for name in ("i", "second"):
        ending = Ending(State.CANCELLED)
        await persistence.instances.finish(Caller(name), ending, when=OPEN, at=START)
    await close(persistence, launched.launch_id, KILLED)
    hidden = await persistence.images.delete(image_id, TENANT, at=START)
    again = await persistence.images.delete(image_id, TENANT, at=START)
    unused = await put_image(persistence, "unused")
    outright = await persistence.images.delete(unused.image_id, TENANT, at=START)
    view = await persistence.launches.view("i", at=START)
    late = await start(persistence, "late", image_id=image_id)

    assert (refused.is_found, refused.open_instances) == (True, 2)
    assert (hidden.open_instances, hidden.is_hidden, again.is_found) == (0, True, False)
    assert (outright.is_found, outright.is_hidden) == (True, False)
    assert await persistence.images.get(unused.image_id) is None
    assert await persistence.images.chunk(image_id, 0) is None
    assert view is not None
    assert view.image is not None
    assert (view.image.name, view.image.deleted_at) == ("orders", START)
    assert not late.image_is_found
    current = await persistence.images.current(TENANT, "orders")
    assert current is not None
    assert current.image_id == older.image_id


async def test_a_delete_and_a_start_do_not_miss_each_other(
    persistence: Persistence, neighbour: Persistence
) -> None:
    """Either the start is counted, or it finds no image."""
    for number in range(8):
        image = await put_image(persistence, f"image{number}")
        started, deleted = await asyncio.gather(
            start(neighbour, f"i{number}", image_id=image.image_id),
            persistence.images.delete(image.image_id, TENANT, at=START),
        )

        assert started.created == (deleted.open_instances == 1)
        assert started.image_is_found == started.created


async def test_lists_show_the_newest_first_with_a_real_total(persistence: Persistence) -> None:
    """They are for one tenant or all, with the current version of each name or all versions."""
    await put_image(persistence, "a", code=b"old")
    for name, tenant_id in (("a", TENANT), ("ab", TENANT), ("b", TENANT), ("a", "other")):
        await put_image(persistence, name, tenant_id=tenant_id, image_id=f"{tenant_id}{name}")

    async def names(which: ImageFilter, offset: int = 0, limit: int = 9) -> list[str]:
        page = await persistence.images.page(which, offset=offset, limit=limit)
        return [f"{one.name}{one.version}" for one in page]

    own = ImageFilter(TENANT)
    assert await names(own) == ["a2", "ab1", "b1"]
    assert await names(own, 1, 1) == ["ab1"]
    assert await persistence.images.count(own) == 3
    assert await persistence.images.count(ImageFilter()) == 4
    assert await persistence.images.count(ImageFilter(TENANT, all_versions=True)) == 4
    assert await names(ImageFilter(TENANT, name_prefix="a")) == ["a2", "ab1"]


async def test_instances_of_an_image_with_a_problem_are_blocked(
    persistence: Persistence, database: Database
) -> None:
    """They show why, are not launched, and move to the next version that is registered."""
    image = await put_image(persistence)
    await hold_lease(persistence, "e")
    await start(persistence, "before", image_id=image.image_id)
    noted = await persistence.images.set_problem(image.image_id, "no module named orders")
    unknown = await persistence.images.set_problem("unknown", "none")
    await start(persistence, "after", image_id=image.image_id)
    waiting = await claim(persistence, at=START + timedelta(days=1))
    blocked = await persistence.instances.get("before")

    mended = await put_image(persistence, code=b"mended")
    launched = await claim(persistence)

    assert (noted, unknown, waiting) == (True, False, [])
    assert blocked is not None
    assert blocked.blocked_reason == "no module named orders"
    assert {one.instance_id for one in launched} == {"before", "after"}
    assert all(one.image == mended for one in launched)


async def test_a_bound_in_the_metadata_becomes_the_names_limit(persistence: Persistence) -> None:
    """The newest version's counts."""
    await put_image(persistence, max_concurrent=3)
    await put_image(persistence, max_concurrent=2)

    [use] = await persistence.limits.page()
    assert use.limit == Limit(Scope.IMAGE, TENANT, "orders", 2)


async def test_rows_that_others_put_in_plainly_are_images(
    persistence: Persistence, database: Database
) -> None:
    """Such rows have no bytes, metadata or version. An unknown runner shows as OCI."""
    row = {"image_id": "p", "tenant_id": TENANT, "name": "mock", "binary_path": "/none"}
    await database.put("images", {**row, "runner_type": "mock", "created_at": START})
    await put_instance(database, State.COMPLETED, image_id="p")

    image = await persistence.images.get("p", TENANT)

    assert image is not None
    assert (image.runner_type, image.sha256, image.binary_path) == (RunnerType.OCI, None, "/none")
    assert (image.version, image.metadata, image.is_current) == (1, {}, True)
    assert await persistence.images.chunk("p", 0) is None
    assert (await persistence.images.delete("p", TENANT, at=START)).is_hidden


async def test_what_belongs_to_a_pruned_instance_goes_with_it(
    persistence: Persistence, database: Database
) -> None:
    """Its launches, and the association with its image, which then has no user."""
    launched = await launch(persistence)
    ending = Ending(State.CANCELLED)
    await persistence.instances.finish(Caller("i"), ending, when=OPEN, at=START)
    await close(persistence, launched.launch_id, KILLED)

    pruned = await persistence.instances.prune(START + SECOND)

    assert pruned == 1
    assert await database.rows("launches") == await database.rows("instance_images") == []
    assert launched.image is not None
    deleted = await persistence.images.delete(launched.image.image_id, TENANT, at=START)
    assert (deleted.is_found, deleted.is_hidden) == (True, False)

"""An instance that is half done goes on in another database."""

import asyncio
import os
from pathlib import Path

from tests.cli.test_direct import run
from tests.runtara.conftest import Ways
from tests.support.postgres import cloned_database

from runtara import Instance, Promise, Worker, connect, step, workflow
from runtara_cli import codes
from runtara_management_sdk import Status
from runtara_persistence.connect import connect as database

DONE: list[str] = []
APPROVAL = Promise("approval", bool)


@step
async def reserve(order: str) -> str:
    DONE.append(f"reserve {order}")
    return f"{order} is reserved"


@step
async def charge(order: str) -> str:
    DONE.append(f"charge {order}")
    return f"{order} is charged"


@workflow(suspend_after="10ms")
async def moving(order: str) -> list[str]:
    first = await reserve(order)
    approved = await APPROVAL.get()
    return [first, await charge(order), str(approved)]


def _is_at_rest(found: Instance) -> bool:
    return found.status is Status.SUSPENDED and bool(found.waiting_for)


async def half_done(where: str) -> None:
    """Run it until it waits, and have it pause when it wakes."""
    async with connect(where) as client, Worker(moving, where=where, isolate="none"):
        handle = await client.start(moving, "17", id="order-17")
        await Ways.until_state(handle, _is_at_rest)
        await handle.pause()


async def to_its_end(where: str) -> list[str]:
    """Let it go on."""
    async with connect(where) as client, Worker(moving, where=where, isolate="none"):
        handle = client.handle(moving, "order-17")
        await handle.send(APPROVAL, value=True)
        return await handle.result("60s")


async def made(where: str) -> None:
    async with database(where, migrates=True):
        """Bring the schema up to date."""


def test_a_workflow_goes_on_in_another_database(tmp_path: Path) -> None:
    """From SQLite to PostgreSQL no step is done twice, and only the owner can read the file."""
    DONE.clear()
    here, file = f"sqlite:{tmp_path}/core.db", tmp_path / "order-17.runtara"
    asyncio.run(half_done(here))
    with cloned_database() as there:
        asyncio.run(made(there))
        exported = run("export", "order-17", str(file), "--database-url", here)
        again = run("export", "order-17", str(file), "--database-url", here)
        imported = run("import", str(file), "--database-url", there)
        twice = run("import", str(file), "--database-url", there)
        taken = run("import", str(file), "--database-url", here)
        resumed = run("resume", "order-17", "--database-url", there)
        result = asyncio.run(to_its_end(there))
    refused = run("rm", "order-17", "--database-url", here)
    removed = run("rm", "--exported", "order-17", "--database-url", here)
    gone = run("explain", "order-17", "--database-url", here)

    assert (exported.exit_code, exported.stdout) == (codes.DONE, f"{file}\n"), exported.output
    assert "`runtara rm --exported order-17` deletes it" in exported.stderr
    assert (again.exit_code, "exists already" in again.stderr) == (codes.USAGE, True)
    assert (imported.exit_code, imported.stdout) == (codes.DONE, "order-17\n"), imported.output
    assert "Next: runtara resume order-17" in imported.stderr
    assert (twice.exit_code, "from this file before" in twice.stderr) == (codes.DONE, True)
    assert (taken.exit_code, resumed.exit_code) == (codes.REFUSED, codes.DONE)
    assert result == ["17 is reserved", "17 is charged", "True"]
    assert DONE == ["reserve 17", "charge 17"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path).count(file.name) == 1
    assert [one.exit_code for one in (refused, removed, gone)] == [
        codes.REFUSED,
        codes.DONE,
        codes.REFUSED,
    ]


def test_what_was_exported_can_stay_after_all(tmp_path: Path) -> None:
    """It is resumed, and goes on where it was."""
    DONE.clear()
    here = f"sqlite:{tmp_path}/core.db"
    asyncio.run(half_done(here))
    exported = run("export", "order-17", str(tmp_path / "file"), "--database-url", here)
    resumed = run("resume", "order-17", "--database-url", here)
    result = asyncio.run(to_its_end(here))

    assert "`runtara resume order-17` keeps it here instead" in exported.stderr
    assert (exported.exit_code, resumed.exit_code) == (codes.DONE, codes.DONE)
    assert result == ["17 is reserved", "17 is charged", "True"]
    assert DONE == ["reserve 17", "charge 17"]


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """The error says what to do."""
    file = tmp_path / "damaged"
    file.write_bytes(b'{"runtara_instance": 1, "sha256": "00"}\nx')
    where = f"sqlite:{tmp_path}/core.db"
    asyncio.run(made(where))

    result = run("import", str(file), "--database-url", where)

    assert result.exit_code == codes.REFUSED
    assert "export it again" in result.stderr

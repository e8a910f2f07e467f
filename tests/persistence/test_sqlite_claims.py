"""Claims on a SQLite file: one step for all of them, and between processes."""

import asyncio
import json
import sys
from datetime import timedelta

import pytest
from tests.persistence.instances import LATER, PAST, ask_sql, put_asleep, text
from tests.persistence.statements import Statements

from runtara_domain.model import Caller, Claim
from runtara_persistence.sqlite.persistence import SqlitePersistence

CLAIMER = """
import asyncio, json, sys
from tests.persistence.instances import LATER, START
from runtara_domain.model import Claim
from runtara_persistence.sqlite.persistence import SqlitePersistence

async def claim(path: str, token: str) -> None:
    async with SqlitePersistence(path, lock_timeout=30) as persistence:
        print("ready", flush=True)
        sys.stdin.readline()
        claimed = []
        while due := await persistence.claims.claim_due(Claim(token, LATER), limit=7, at=START):
            claimed += [each.instance_id for each in due]
        print(json.dumps(claimed))

asyncio.run(claim(*sys.argv[1:]))
"""


async def test_all_claims_are_renewed_in_one_step(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two thousand of this owner; those of another stay as they are."""
    statements = Statements()
    statements.watch(monkeypatch)
    async with SqlitePersistence(path) as persistence:
        put_asleep(path, 2000, LATER, claimed_by="me")
        statements.seen.clear()

        until = LATER + timedelta(minutes=1)
        sleepers = {Caller(f"i{number:05}"): LATER for number in range(2000)}
        mine = await persistence.claims.renew(Claim("me", until), sleepers, at=PAST)
        seen = [statement.split()[0] for statement in statements.seen]
        await persistence.claims.renew(Claim("other", until), sleepers, at=PAST)

    assert len(mine) == 2000
    assert seen == ["BEGIN", "UPDATE", "UPDATE", "SELECT", "COMMIT"]
    [row] = ask_sql(path, "SELECT DISTINCT wake_claim_until, wake_claim_by FROM instances")
    assert row == (text(LATER + timedelta(minutes=1)), "me")


async def start_claimer(path: str, token: str) -> asyncio.subprocess.Process:
    """Start a process that will claim all it can, and return when it is ready to."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CLAIMER, path, token),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def test_of_two_processes_each_due_instance_goes_to_one(
    persistence: SqlitePersistence, path: str
) -> None:
    """All are claimed, by the one that says so."""
    put_asleep(path, 400, PAST)
    processes = [await start_claimer(path, token) for token in ("one", "two")]

    outputs = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))

    one, two = (json.loads(output) for output, _ in outputs)
    claimed = [(each, "one") for each in one] + [(each, "two") for each in two]
    stored = ask_sql(path, "SELECT instance_id, wake_claim_by FROM instances ORDER BY 1")
    assert sorted(claimed) == stored
    assert len(stored) == 400

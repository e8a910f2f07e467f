"""One instance that kills every process it runs in, among fifty, and three workers that die too."""

import asyncio
import signal
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.runtara.conftest import ROOT, until
from tests.runtara.shop import deadly, steps

from runtara import WorkflowFailed, connect

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

INNOCENT = 50
WORKERS = 3
ENDS = "SELECT instance_id, cause, count(*) FROM launches GROUP BY instance_id, cause"


async def worker() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.runtara.shop", "20"), cwd=ROOT
    )


async def ends_in(url: str) -> Counter[tuple[str, str]]:
    """Count the launches of each instance by what they ended with."""
    rows: list[Any]
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:"))) as file:
            rows = file.execute(ENDS).fetchall()
    else:
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch(ENDS)
        finally:
            await connection.close()
    return Counter({(name, cause): number for name, cause, number in rows})


async def test_it_harms_no_other_twice_whichever_worker_takes_it(
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What it took along once runs alone from then on, and only its own deaths are counted."""
    notes = tmp_path / "notes"
    monkeypatch.setenv("SHOP_NOTES", str(notes))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RUNTARA_DATABASE_URL", database)

    def said(what: str) -> int:
        return notes.read_text().count(what) if notes.exists() else 0

    async with connect(database) as client:
        alive = [await worker() for _ in range(WORKERS)]
        try:
            others = [
                await client.start(steps, 6, 0.5, id=f"i-{number}") for number in range(INNOCENT)
            ]
            await until(lambda: said("charging") >= INNOCENT // 2)
            killer = await client.start(deadly, id="killer")
            for victim in range(2):
                await until(lambda victim=victim: said("deadly") > victim)  # type: ignore[misc]
                alive[victim].send_signal(signal.SIGKILL)
                await alive[victim].wait()
                alive[victim] = await worker()
            results = await asyncio.gather(*(each.result("5m") for each in others))
            with pytest.raises(WorkflowFailed, match="crashed 5 times in a row"):
                await killer.result("5m")
            crashes = {(await each.status()).crashes for each in others}
        finally:
            for one in alive:
                one.kill()
                await one.wait()

    ends = await ends_in(database)
    with capsys.disabled():
        sys.stdout.write(f"\n{Counter(cause for _, cause in ends.elements())}\n")
    assert (results, crashes) == ([6] * INNOCENT, {0})
    assert ends["killer", "killed"] == 5
    for number in range(INNOCENT):
        assert ends[f"i-{number}", "killed"] == 0
        assert ends[f"i-{number}", "runner_failed"] <= 1

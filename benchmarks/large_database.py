"""
What PostgreSQL does for each hot statement: on a million instances with ten million checkpoints,
and on a thousand with ten thousand.

The adapter itself makes the calls, in sessions as it opens them; `auto_explain` writes down the
plan of each statement as it was carried out. Fails if one reads a table through.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

from tests.support.postgres import PostgresServer

from benchmarks.large_calls import make_calls
from benchmarks.large_filling import filled
from runtara_persistence.postgres.persistence import PostgresPersistence
from runtara_persistence.queries import load

SMALL, LARGE = 1_000, 1_000_000
FOLDER = Path(tempfile.gettempdir()) / "runtara-large-database"
# Nothing need be written twice while it is filled.
SETTINGS = ("wal_level=minimal", "max_wal_senders=0", "max_wal_size=4GB")
EXPLAINED = (
    "&session_preload_libraries=auto_explain&auto_explain.log_min_duration=0"
    "&auto_explain.log_analyze=on&auto_explain.log_buffers=on&auto_explain.log_format=json"
)
PACKAGE = "runtara_persistence.postgres"
FILES = ("saving", "checkpoints", "claims", "events", "instances", "signals")

# Any: what JSON holds.
Node: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """How one statement was carried out once. blocks: 8 KiB each, cached or read."""

    milliseconds: float
    rows: int
    blocks: int
    indexes: frozenset[str]
    read_through: frozenset[str]


Runs: TypeAlias = dict[str, list[Run]]


async def observe(server: PostgresServer, instances: int, rounds: int) -> Runs:
    """Make all the calls, so often, and tell how their statements were carried out."""
    url = await filled(server, instances)
    async with PostgresPersistence(url) as persistence:
        await make_calls(persistence, instances)
    log = server.folder / "log"
    start = log.stat().st_size
    async with PostgresPersistence(url + EXPLAINED) as persistence:
        for _ in range(rounds):
            await make_calls(persistence, instances)
    with log.open() as lines:
        lines.seek(start)
        return _runs(lines.read())


def _runs(log: str) -> Runs:
    names = dict(_names())
    runs: Runs = defaultdict(list)
    for _, _, logged in (part.partition("plan:\n") for part in log.split("LOG:  duration: ")[1:]):
        explained, _ = json.JSONDecoder().raw_decode(logged.lstrip())
        name = names.get(explained["Query Text"])
        if name is not None:
            runs[name].append(_run(explained["Plan"]))
    return runs


def _names() -> Iterator[tuple[str, str]]:
    for file in FILES:
        queries = load(PACKAGE, f"{file}.sql")
        text = resources.files(PACKAGE).joinpath("sql", f"{file}.sql").read_text()
        for line in text.splitlines():
            if line.startswith("-- name: "):
                name = line.removeprefix("-- name: ")
                yield queries[name], f"{file} {name}"


def _run(plan: Node) -> Run:
    nodes = list(_nodes(plan))
    scans = (one["Relation Name"] for one in nodes if one["Node Type"] == "Seq Scan")
    return Run(
        plan["Actual Total Time"],
        int(plan["Actual Rows"]),
        plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
        frozenset(one["Index Name"] for one in nodes if "Index Name" in one),
        frozenset(scans),
    )


def _nodes(plan: Node) -> Iterator[Node]:
    # What a value already known made unnecessary was planned, not carried out.
    if plan.get("Actual Loops"):
        yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def report(small: Runs, large: Runs) -> list[str]:
    """Print a line a statement; tell the names of those that read a table through."""
    print(f"{'statement':34}{'rows':>5}{'blocks':>8}{'ms':>8}{'of a thousand':>15}  indexes")
    faults = []
    for name, runs in large.items():
        times = [
            statistics.median(one.milliseconds for one in each) for each in (runs, small[name])
        ]
        rows = statistics.median(one.rows for one in runs)
        blocks = statistics.median(one.blocks for one in runs)
        indexes = ", ".join(sorted(frozenset.union(*(one.indexes for one in runs))))
        print(f"{name:34}{rows:5.0f}{blocks:8.0f}{times[0]:8.2f}{times[1]:15.2f}  {indexes}")
        if scanned := frozenset.union(*(one.read_through for one in runs)):
            faults.append(f"{name} reads through {', '.join(sorted(scanned))}")
    return faults


async def _main(folder: Path, rounds: int) -> list[str]:
    server = PostgresServer(*SETTINGS, kept_in=folder)
    try:
        server.start()
        # It is used up by a few dozen rounds.
        server.execute(f"DROP DATABASE IF EXISTS filled_{SMALL}")
        small, large = [await observe(server, count, rounds) for count in (SMALL, LARGE)]
    finally:
        server.remove()
    return report(small, large)


def main() -> None:
    """Fill what is not there yet, make the calls, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where it is kept: 10 GB")
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    if faults := asyncio.run(_main(arguments.folder, arguments.rounds)):
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()

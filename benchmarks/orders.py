"""
Orders of a small shop from end to end: with us, over QUIC and embedded, and with DBOS, in one run.

An order is charged, approved by its customer, packed by two children, and its customer is written
to. So many orders are taken, at most so many at once; all systems are measured in turn, round after
round. Read ratios, not seconds. DBOS comes from PyPI at first use, by `uv`.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import uvloop

from benchmarks.databases import NAMES, database
from benchmarks.rates import Rates
from benchmarks.steps import Program, dbos, ours

LOADS = (2, 50)
SYSTEMS = ("quic", "embedded", "dbos")


def _subject(name: str, url: str) -> AbstractAsyncContextManager[Program]:
    if name == "dbos":
        return dbos("shop_with_dbos.py", url)
    return ours("shop_with_runtara.py", name, url)


async def compare(url: str, options: argparse.Namespace) -> dict[int, Rates]:
    """Take the orders with all in turn, round after round, after two that don't count."""
    reports = {load: Rates() for load in options.loads}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        for name in options.systems:
            async with _subject(name, url) as running:
                await running.seconds(2, 2)
                for load, report in reports.items():
                    report.add(name, await running.seconds(load, options.orders))
    return reports


def _print(reports: Mapping[int, Rates], orders: int, systems: Sequence[str]) -> None:
    print(f"{orders} orders, milliseconds: medians; then the part of DBOS's time (spread)\n")
    for load, report in reports.items():
        print(f"{load:>3} at once:", *(f"{one} {report.median(one) * 1000:.0f}" for one in report))
        for one in systems if "dbos" in systems else ():
            if one != "dbos":
                print(f"    {one:<9} {report.ratio(one, 'dbos')} of dbos")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=NAMES, default=NAMES[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--orders", type=int, default=12)
    parser.add_argument("--loads", nargs="+", type=int, default=LOADS, help="orders at once")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    options = parser.parse_args()
    with database(options.database) as url:
        reports = uvloop.run(compare(url, options))
    _print(reports, options.orders, options.systems)
    if options.json:
        options.json.write_text(json.dumps(reports, indent=2))


if __name__ == "__main__":
    main()

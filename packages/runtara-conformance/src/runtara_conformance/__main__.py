"""Check a server against every rule: `python -m runtara_conformance HOST:PORT`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from runtara_conformance import report
from runtara_conformance.database import Database, open_database
from runtara_conformance.rule import Pace, Rule, Tier
from runtara_conformance.rules import RULES
from runtara_conformance.runner import Outcome, run_rules
from runtara_conformance.subject import OURS, Server

REACHED_WITHIN = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    rules = [
        rule
        for rule in RULES
        if given.rule in str(rule)
        and given.tier in (None, rule.tier)
        and not (given.light and rule.pace is Pace.HEAVY)
    ]
    if given.list:
        _say("\n".join(f"{rule}  [{rule.tier}]  {rule.says}" for rule in rules))
        return report.ALL_PASSED
    if not rules:
        parser.error(f"no rule's name contains {given.rule!r}")
    try:
        server = _server(given.address, given.database_url)
    except ValueError as error:
        parser.error(str(error))
    try:
        outcomes = asyncio.run(_check(server, rules, keeps=given.keep))
    except ConnectionError as error:
        _say(str(error))
        return report.SOME_FAILED
    if given.json:
        given.json.write_text(report.as_json(outcomes))
    if given.junit:
        given.junit.write_text(report.as_junit(outcomes))
    return report.exit_code(outcomes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runtara_conformance",
        description=__doc__,
        epilog="exit code: 0 all passed, 1 some failed, 2 usage, 3 some could not be run",
    )
    parser.add_argument("address", nargs="?", metavar="HOST:PORT")
    parser.add_argument("--database-url", metavar="URL", help="its database: signals need it")
    parser.add_argument("--tier", type=Tier, choices=list(Tier), help="only these rules")
    parser.add_argument("--rule", default="", metavar="SUBSTRING", help="only rules named so")
    parser.add_argument("--light", action="store_true", help="leave out values of 63 MiB")
    parser.add_argument("--keep", action="store_true", help="leave its instances in the database")
    parser.add_argument("--list", action="store_true", help="name the rules, check nothing")
    parser.add_argument("--junit", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser


def _server(address: str | None, database_url: str | None) -> Server:
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"HOST:PORT is needed, not {address!r}")
    database = open_database(database_url) if database_url else None
    return Server(host.strip("[]"), int(port), database)


async def _reach(server: Server) -> None:
    """Fail now, in one line, rather than once a rule."""
    try:
        async with asyncio.timeout(REACHED_WITHIN), server.connect():
            pass
    except OSError as error:
        raise ConnectionError(f"no server answers at {server.host}:{server.port}") from error


async def _check(server: Server, rules: Sequence[Rule], *, keeps: bool) -> list[Outcome]:
    await _reach(server)
    try:
        outcomes = await run_rules(rules, server, lambda outcome: _say(report.line(outcome)))
    finally:
        # Also of a run that is broken off by Ctrl-C.
        _say(await _cleaned_up(None if keeps else server.known_database))
    _say(report.summary(outcomes))
    return outcomes


async def _cleaned_up(database: Database | None) -> str:
    """Delete only the instances that the rules made; print those that are left, if any."""
    if database is None:
        return _left("")
    try:
        count = await database.remove(OURS)
    except Exception as error:  # A driver's: a lock that is held, a connection that is refused.
        return _left(f" ({error})")
    return f"cleaned up: {count} instances of this run are deleted from the database"


def _left(why: str) -> str:
    return (
        f"left behind{why}: the instances whose ids begin with {OURS!r} (70 MB of all rules)"
        f": DELETE FROM instances WHERE instance_id LIKE '{OURS}%'"
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

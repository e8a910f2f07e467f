"""Our own server, held to every rule of the tiers it offers."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

import pytest
from tests.support.postgres import migrated_database

from runtara_conformance.database import open_database
from runtara_conformance.report import line
from runtara_conformance.rule import Tier
from runtara_conformance.rules import RULES
from runtara_conformance.runner import Outcome, Verdict, run_rules
from runtara_conformance.subject import Server

TIERS = {Tier.SLICE, Tier.CORE}
OURS = [rule for rule in RULES if rule.tier in TIERS]
STARTS_WITHIN = 30.0

Outcomes: TypeAlias = Mapping[str, Outcome]


@asynccontextmanager
async def core(url: str) -> AsyncIterator[int]:
    """Run the server as a process for the length of the block; give its port."""
    settings = {
        "RUNTARA_DATABASE_URL": url,
        "RUNTARA_QUIC_HOST": "127.0.0.1",
        "RUNTARA_QUIC_PORT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runtara_server"),
        env=os.environ | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(STARTS_WITHIN):
            port = await port_of(process.stdout)
        said = asyncio.create_task(process.stdout.read())
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    sys.stdout.write((await said).decode())


async def port_of(log: asyncio.StreamReader) -> int:
    """Read the log until it says where the server listens."""
    async for said in log:
        sys.stdout.write(said.decode())
        event = json.loads(said) if said.startswith(b"{") else {}
        if event.get("event") == "listening":
            return int(event["port"])
    raise AssertionError("the server ended before it listened")


def tell(outcome: Outcome) -> None:
    """Show the outcome among the server's log."""
    sys.stdout.write(f"{line(outcome)}\n")


async def check(url: str) -> Outcomes:
    """Run every rule against a server of its own on this database."""
    async with core(url) as port:
        server = Server("127.0.0.1", port, open_database(url))
        outcomes = await run_rules(OURS, server, tell)
    return {str(outcome.rule): outcome for outcome in outcomes}


async def check_all(urls: Mapping[str, str]) -> Mapping[str, Outcomes]:
    """Run the rules on every database, beside each other: most of the time they wait."""
    return dict(zip(urls, await asyncio.gather(*map(check, urls.values())), strict=True))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcomes]:
    """Run the rules together, as the command does: some take half a minute of waiting."""
    with migrated_database() as postgres:
        sqlite = f"sqlite:{tmp_path_factory.mktemp('core') / 'core.db'}"
        return asyncio.run(check_all({"sqlite": sqlite, "postgres": postgres}))


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
@pytest.mark.parametrize("name", [str(rule) for rule in OURS])
def test_our_server_keeps_the_rule(
    name: str, database: str, outcomes: Mapping[str, Outcomes]
) -> None:
    outcome = outcomes[database][name]

    assert outcome.verdict is Verdict.PASS, line(outcome)

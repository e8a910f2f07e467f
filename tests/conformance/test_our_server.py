"""Our own server, held to every rule on each of its databases, by the kit's command."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.support.postgres import migrated_database
from tests.support.server_process import HOST, running

from runtara_conformance.rule import Pace
from runtara_conformance.rules import RULES
from runtara_conformance.runner import Verdict
from runtara_persistence import InstanceFilter, NewInstance, SystemClock, connect

# All rules on both databases at once belong to the first test, on a machine that has other work.
pytestmark = pytest.mark.timeout(1500)

HEAVY = [str(rule) for rule in RULES if rule.pace is Pace.HEAVY]

Outcomes: TypeAlias = Mapping[str, Mapping[str, object]]


async def check(url: str, folder: Path, *options: str) -> Outcomes:
    """
    Run rules against a server of its own on this database; options: of the kit's command.

    What the rules made is deleted then, and nothing else.
    """
    written = folder / "outcomes.json"
    async with running(folder, RUNTARA_DATABASE_URL=url) as server:
        async with connect(url) as persistence:
            other = NewInstance("conformance-of-another", "acme")
            await persistence.instances.create(other, at=SystemClock().now())
        kit = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runtara_conformance", f"{HOST}:{server.port}"),
            *("--database-url", url, "--json", str(written)),
            *options,
        )
        await kit.wait()
        async with connect(url) as persistence:
            assert await persistence.instances.count(InstanceFilter()) == 1
            assert await persistence.instances.get("conformance-of-another") is not None
    return {outcome["rule"]: outcome for outcome in json.loads(written.read_text())}


async def check_all(urls: Mapping[str, str], folder: Path) -> Mapping[str, Outcomes]:
    """
    Run the rules on every database, beside each other: most of the time they wait.

    Those about the largest values are run on SQLite only.
    """
    folders = [folder / name for name in urls]
    for each in folders:
        each.mkdir()
    light = [() if name == "sqlite" else ("--light",) for name in urls]
    outcomes = await asyncio.gather(
        *(
            check(url, each, *options)
            for url, each, options in zip(urls.values(), folders, light, strict=True)
        )
    )
    return dict(zip(urls, outcomes, strict=True))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcomes]:
    """Run the rules together: some take half a minute of waiting."""
    folder = tmp_path_factory.mktemp("core")
    with migrated_database() as postgres:
        urls = {"sqlite": f"sqlite:{folder}/core.db", "postgres": postgres}
        return asyncio.run(check_all(urls, folder))


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
@pytest.mark.parametrize("name", [str(rule) for rule in RULES if rule.pace is not Pace.HEAVY])
def test_our_server_keeps_the_rule(
    name: str, database: str, outcomes: Mapping[str, Outcomes]
) -> None:
    outcome = outcomes[database][name]

    assert outcome["verdict"] == Verdict.PASS, outcome


@pytest.mark.parametrize("name", HEAVY)
def test_our_server_keeps_the_rule_of_a_largest_value(
    name: str, outcomes: Mapping[str, Outcomes]
) -> None:
    outcome = outcomes["sqlite"][name]

    assert outcome["verdict"] == Verdict.PASS, outcome


@pytest.mark.long
def test_our_server_on_postgresql_keeps_the_rules_of_largest_values(tmp_path: Path) -> None:
    """Together with all others."""
    with migrated_database() as url:
        outcomes = asyncio.run(check(url, tmp_path))

    assert [outcomes[name]["verdict"] for name in HEAVY] == [Verdict.PASS] * len(HEAVY)

"""Runs rules against a server, a few at a time, and reports each outcome as it comes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from runtara_conformance.expect import BrokenError
from runtara_conformance.rule import Pace, Rule
from runtara_conformance.subject import Server

AT_ONCE = 4


class Verdict(StrEnum):
    """How a rule came out."""

    PASS = "PASS"
    FAIL = "FAIL"
    NOT_RUN = "NOT RUN"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One rule's outcome; after a failure, the expected and the actual result."""

    rule: Rule
    verdict: Verdict
    seconds: float = 0.0
    expected: str = ""
    came: str = ""


async def run_rules(
    rules: Sequence[Rule], server: Server, tell: Callable[[Outcome], None]
) -> list[Outcome]:
    """Run every rule once; no more than a few at a time, the heavy ones alone at the end."""
    outcomes: list[Outcome] = []
    slots = asyncio.Semaphore(AT_ONCE)

    async def run(rule: Rule) -> None:
        outcome = await run_rule(rule, server)
        outcomes.append(outcome)
        tell(outcome)

    async def run_in_turn(rule: Rule) -> None:
        async with slots:
            await run(rule)

    async with asyncio.TaskGroup() as patient:
        for rule in _of(Pace.PATIENT, rules):
            patient.create_task(run(rule))
        async with asyncio.TaskGroup() as quick:
            for rule in _of(Pace.QUICK, rules):
                quick.create_task(run_in_turn(rule))
        for rule in _of(Pace.HEAVY, rules):
            await run(rule)
    return outcomes


async def run_rule(rule: Rule, server: Server) -> Outcome:
    """Run one rule; any error that it raises fails only this rule."""
    if rule.database and server.known_database is None:
        return Outcome(rule, Verdict.NOT_RUN, came="needs --database-url")
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(rule.limit):
            await rule.check(server)
    except BrokenError as broken:
        return Outcome(rule, Verdict.FAIL, loop.time() - began, broken.expected, broken.came)
    except TimeoutError:
        expected = f"an end within {rule.limit:g} s"
        return Outcome(rule, Verdict.FAIL, loop.time() - began, expected, "none")
    except Exception as error:  # Bad bytes, a lost connection, a column that isn't there.
        expected = "no error"
        return Outcome(rule, Verdict.FAIL, loop.time() - began, expected, repr(error))
    return Outcome(rule, Verdict.PASS, loop.time() - began)


def _of(pace: Pace, rules: Sequence[Rule]) -> list[Rule]:
    return [rule for rule in rules if rule.pace is pace]

"""Writes the outcomes: lines for people, JUnit for a build, JSON for programs."""

import json
from collections import Counter
from collections.abc import Sequence
from xml.etree import ElementTree

from runtara_conformance.runner import Outcome, Verdict

ALL_PASSED, SOME_FAILED, USAGE, SOME_NOT_RUN = 0, 1, 2, 3


def line(outcome: Outcome) -> str:
    """Return the line of one rule's outcome, with the reason if it is not a pass."""
    rule = outcome.rule
    said = f"{outcome.verdict:<7}  {rule}  {rule.says}"
    if outcome.verdict is Verdict.FAIL:
        return f"{said}\n         expected  {outcome.expected}\n         came      {outcome.came}"
    if outcome.verdict is Verdict.NOT_RUN:
        return f"{said}  ({outcome.came})"
    return said


def summary(outcomes: Sequence[Outcome]) -> str:
    """Count the verdicts."""
    counted = Counter(outcome.verdict for outcome in outcomes)
    return ", ".join(f"{counted[verdict]} {verdict.lower()}" for verdict in Verdict)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0: all passed; 1: some failed; 3: all that ran passed, some could not run."""
    verdicts = {outcome.verdict for outcome in outcomes}
    if Verdict.FAIL in verdicts:
        return SOME_FAILED
    return SOME_NOT_RUN if Verdict.NOT_RUN in verdicts else ALL_PASSED


def as_json(outcomes: Sequence[Outcome]) -> str:
    """Write a list of objects, one a rule."""
    return json.dumps([_as_object(outcome) for outcome in outcomes], indent=1)


def as_junit(outcomes: Sequence[Outcome]) -> str:
    """Write one test suite: a noun is a class, a rule a case, its sentence a property."""
    counted = Counter(outcome.verdict for outcome in outcomes)
    suite = ElementTree.Element(
        "testsuite",
        name="runtara-conformance",
        tests=str(len(outcomes)),
        failures=str(counted[Verdict.FAIL]),
        skipped=str(counted[Verdict.NOT_RUN]),
        time=f"{sum(outcome.seconds for outcome in outcomes):.3f}",
    )
    suite.extend(_as_case(outcome) for outcome in outcomes)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _as_object(outcome: Outcome) -> dict[str, object]:
    return {
        "rule": str(outcome.rule),
        "says": outcome.rule.says,
        "tier": outcome.rule.tier,
        "verdict": outcome.verdict,
        "seconds": round(outcome.seconds, 3),
        "expected": outcome.expected,
        "came": outcome.came,
    }


def _as_case(outcome: Outcome) -> ElementTree.Element:
    rule = outcome.rule
    case = ElementTree.Element(
        "testcase", classname=rule.noun, name=rule.name, time=f"{outcome.seconds:.3f}"
    )
    properties = ElementTree.SubElement(case, "properties")
    ElementTree.SubElement(properties, "property", name="says", value=rule.says)
    if outcome.verdict is Verdict.FAIL:
        failure = ElementTree.SubElement(case, "failure", message=outcome.expected)
        failure.text = outcome.came
    if outcome.verdict is Verdict.NOT_RUN:
        ElementTree.SubElement(case, "skipped", message=outcome.came)
    return case

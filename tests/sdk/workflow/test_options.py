"""Options that are none, or of another type, are refused with what to write instead."""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from runtara_sdk import Retry, step, workflow

RETRY: Any = Retry
STEP: Any = step
WORKFLOW: Any = workflow


async def charge() -> None: ...


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "retries": (
        lambda: STEP(retries=5),
        r"takes no retries=: write retry=Retry\(attempts=5\)",
    ),
    "max_attempts": (lambda: STEP(max_attempts=2)(charge), r"write retry=Retry\(attempts=2\)"),
    "timeout_s": (lambda: STEP(timeout_s=5), 'step takes no timeout_s=: write timeout="30s"'),
    "backoff": (lambda: STEP(backoff=2), r'write retry=Retry\(wait="1s"\)'),
    "retry_on": (lambda: STEP(retry_on=OSError), r"retry=Retry\(on=SomeError\)"),
    "raise": (lambda: STEP(raise_=OSError), r"did you mean raises=\?"),
    "unknown": (lambda: STEP(queue="q"), "step takes no queue=: it takes name=, retry=, timeout="),
    "number": (lambda: STEP(retry=5)(charge), r"'charge': retry= .*got 5: .*Retry\(attempts=5\)"),
    "text": (lambda: STEP("charge"), r"write @step\(name='charge'\)"),
    "workflow": (lambda: WORKFLOW("charge"), r"write @workflow\(name='charge'\)"),
    "doubt": (lambda: STEP(doubt="ask")(charge), 'doubt= takes "stop" or "again", got \'ask\''),
    "effect": (lambda: STEP(effect="twice")(charge), 'effect= takes "external"'),
    "name": (lambda: STEP(name=5)(charge), "name= takes a name"),
    "was": (lambda: STEP(was=(5,))(charge), "was= takes a name"),
    "was one": (lambda: STEP(was=5)(charge), "was= takes a name"),
    "none": (lambda: RETRY(attempts=None), "attempts= takes a whole number.*got None: to try"),
    "endless": (lambda: RETRY(attempts=math.inf), "attempts= takes a whole number.*budget="),
    "digits": (lambda: RETRY(attempts="3"), "attempts= takes a whole number.*got '3'"),
    "bool": (lambda: RETRY(attempts=True), "attempts= takes a whole number.*got True"),
    "zero": (lambda: RETRY(attempts=0), "the first attempt counts"),
    "tries": (lambda: RETRY(max_retries=3), "Retry takes no max_retries=: write attempts=3"),
    "delay": (lambda: RETRY(delay=3), 'Retry takes no delay=: write wait="1s"'),
    "waits": (lambda: RETRY(waits=3), r"Retry takes no waits=: did you mean wait=\?"),
}


@pytest.mark.parametrize(("make", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_option_is_refused_with_the_right_one(
    make: Callable[[], object], said: str
) -> None:
    """The error comes where the option is given, in the SDK's own words."""
    with pytest.raises((TypeError, ValueError), match=said) as refusal:
        make()

    assert "__init__" not in str(refusal.value)
    assert "_made" not in str(refusal.value)


def test_a_retry_is_copied_and_replaced_as_any_value() -> None:
    """Its checks hinder neither."""
    retry = Retry(5, on=OSError)

    assert deepcopy(retry) == retry
    assert replace(retry, attempts=2) == Retry(attempts=2, on=OSError)

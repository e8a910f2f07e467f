"""A framework's own tasks call durable tools: an agent of pydantic-ai."""

import itertools

from examples.workflows.agent import report
from tests.sdk.workflow.memory_store import Core, lives
from tests.sdk.workflow.outcomes_got import dying_at

from runtara_sdk import Ended, Outcome

CITIES = b'"Bern, Oslo, Rome"'
REPORT = Ended(Outcome.DONE, b'"4 degrees in Bern; 4 degrees in Oslo; 4 degrees in Rome"')


async def test_an_agent_with_parallel_tools_goes_on_after_a_crash_anywhere() -> None:
    """No question is asked and no tool called again once its answer is saved."""
    whole = Core()
    assert await lives(report, whole, CITIES) == REPORT

    for number, is_done in itertools.product(range(1, len(whole.calls) + 1), (False, True)):
        core = Core()
        assert await lives(report, core, CITIES, dying_at(number, is_done=is_done)) == REPORT
        assert core.states.keys() == whole.states.keys()
        saved = [call for call in core.calls if call.startswith("save")]
        repeated = len(saved) - len(core.states)
        # Three tools run at once, and so does what was on its way to the core when the run died.
        assert repeated <= 3, (number, is_done, saved)

"""Instances that commit 61cf682 has left under way in forms 2 and 3 go on with this one."""

from pathlib import Path

import pytest
from tests.sdk.frozen.copies import MODULE, ROOT, on_sqlite
from tests.sdk.frozen.endings import RESTS, SENT, Rest

pytestmark = pytest.mark.usefixtures("unmeasured")

MADE = ROOT / "tests/fixtures/made_by_61cf682"
FLOWS = "tests.fixtures.made_by_61cf682.workflows"

_A_AND_B = ["<a 1>", "<a 2>", "<b 1>", "<b 2>", "<own>"]
_BRANCHES = [f"<{label} {number}>" for label in ("a", "ax", "b", "bx") for number in (1, 2)]
_KINDS = ["own <own>", "slept None", "slept less None", "told {}", "worked <keyed a>"]
_KINDS_END = ["<after all>"]
_CUT = ["sleep cut short", "no use", "<after cuts>"]

FORMER = {
    *("mid-steps", "failed", "arguments", "by-class-311", "of-one-name", "keyed", "packed"),
    *("raising", "backing-off", "asked-done", "to-decide", "deciding", "again", "napping"),
    *("asking", "asked-by-path", "told", "in-time", "overdue", "out-of-time", "three"),
    *("to-cancel", "cleaning-up", "gathering", "grouped", "group-asking"),
    *("group-failing", "mapping", "racing", "raced", "restarting", "child", "parent"),
}

_BROKEN = (
    "step 'break_down' (break_down#{0}) failed after 1 attempt: RuntimeError: part {1} is broken"
    " (raised as StepFailed; to catch it as RuntimeError, name it as an answer of the step:"
    " @step(raises=RuntimeError))"
)

# In form 1 a wait that was over has used its number up, and a failure has no advice.
OTHERWISE = {
    "gather-failing": Rest(
        "gather_failing",
        [_BROKEN.format(n + 1, n) for n in range(3)] + ["<after failing gather>"],
        ["after failing gather"],
    ),
    "rounds": Rest("rounds", ["nothing", "nothing", "nothing", "yes"]),
    "rounds-unheard": Rest("rounds", ["nothing", "nothing", "nothing", "early"]),
}

OF_FORM_3 = {
    "tasks": Rest("in_a_group", [*_A_AND_B, "<after tasks>"], ["b 2", "after tasks"]),
    "tasks-done": Rest("in_a_group", [*_A_AND_B, "<after tasks>"], ["after tasks"]),
    "branches": Rest(
        "in_branches", [*_BRANCHES, "<after branches>"], ["bx 1", "bx 2", "after branches"]
    ),
    "branches-done": Rest("in_branches", [*_BRANCHES, "<after branches>"], ["after branches"]),
    "kinds": Rest(
        "of_all_kinds", [one.format("yes") for one in _KINDS] + _KINDS_END, ["after all"]
    ),
    "kinds-asleep": Rest("of_all_kinds", outcome="suspended"),
    "kinds-told": Rest(
        "of_all_kinds", [one.format("sent") for one in _KINDS] + _KINDS_END, ["after all"]
    ),
    "cut-short": Rest("cut_short", _CUT, ["after cuts"]),
    "paying-done": Rest("paying", ["found done", "<other>"], ["ask done"]),
    "paying-open": Rest("paying", ["charged open", "<other>"], ["ask open", "charge open"]),
    "timed": Rest("timed", ["<a 1>", "<a 2>", "yes", "<after timeout>"], ["out", "after timeout"]),
    "timed-out": Rest(
        "timed", ["<a 1>", "<a 2>", "late", "<after timeout>"], ["out", "after timeout"]
    ),
}


async def test_each_instance_goes_on_to_its_right_end(tmp_path: Path) -> None:
    """It may have waited for anything when it was frozen. Nothing is done twice."""
    former = {name: RESTS[name] for name in FORMER} | OTHERWISE
    sent = {one: value for one, value in SENT.items() if one[0] in FORMER}
    targets = {name: f"{MODULE}:{rest.workflow}" for name, rest in former.items()}
    targets |= {name: f"{FLOWS}:{rest.workflow}" for name, rest in OF_FORM_3.items()}
    # The child before its parent.
    targets["parent"] = targets.pop("parent")
    async with on_sqlite(tmp_path, MADE) as replays:
        await replays.send(
            sent
            | {
                ("rounds", "done"): "yes",
                ("kinds", "news~z%2F1"): "yes",
                ("timed", "approval~late"): "yes",
            }
        )
        found = await replays.run(targets)

    assert found == {name: rest.told() for name, rest in (former | OF_FORM_3).items()}

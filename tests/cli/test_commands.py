"""Commands against a real environment whose processes run real workflows."""

import json
import re
from unittest.mock import AsyncMock

import pytest
from tests.cli.conftest import PATIENCE, Location

from runtara_cli import codes
from runtara_management_sdk.operations import Environments
from runtara_sdk.errors import RequestNotKnown

pytestmark = pytest.mark.slow

MENDED = """
from runtara_sdk import step, workflow

@step
async def charge(order: str) -> str:
    {body}

@workflow
async def mended(order: str) -> str:
    return await charge(order)
"""


def waiting(place: Location, instance_id: str) -> None:
    """Start an approval and wait until it is said to wait."""
    place.done("start", "approval", '"order-1"', "--id", instance_id)
    while "waiting for 'approved'" not in place.done("list", "--workflow", "approval"):
        assert place.run("wait", instance_id, "--timeout", "10ms").exit_code == codes.TIMED_OUT


def test_a_deployed_file_is_an_image_for_each_workflow(place: Location) -> None:
    """The same code again makes no version, other code does."""
    again = place.done("deploy", str(place.folder / "shop.py"))
    images = place.json("images")
    one = place.json("deploy", str(place.folder / "shop.py"), "--workflow", "pay", "--name", "p2")

    assert re.findall(r"(\w+) version 1 \(as it was\)", again) == ["fulfil", "pay", "approval"]
    assert {(each["name"], each["metadata"]["target"]) for each in images} == {
        ("fulfil", "shop:fulfil"),
        ("pay", "shop:pay"),
        ("approval", "shop:approve"),
    }
    assert (one[0]["name"], one[0]["version"], one[0]["created"]) == ("p2", 1, True)
    place.done("images", "--delete", one[0]["image_id"])
    assert place.done("images", "p2") == ""


def test_a_retry_of_a_completed_instance_names_the_fork(place: Location) -> None:
    place.done("start", "fulfil", '"order-1"', "--id", "done-1", "--wait")

    refused = place.run("retry", "done-1")

    assert (refused.exit_code, refused.stdout) == (codes.REFUSED, "")
    assert "nothing to retry" in refused.stderr
    assert "Next: `runtara fork ID --before CHECKPOINT`" in refused.stderr


def test_an_instance_is_started_waited_for_and_shown(place: Location) -> None:
    """Its result is printed alone; what its process writes goes beside it."""
    result = place.run("start", "fulfil", '"order-17"', "--id", "order-17", "--follow")
    again = place.run("start", "fulfil", '"order-17"', "--id", "order-17")
    other = place.run("start", "fulfil", '"order-18"', "--id", "order-17")
    shown = place.done("show", "order-17")
    (history,) = place.json("show", "order-17")

    assert (result.exit_code, json.loads(result.stdout)) == (0, ["order-17/1", "order-17/2"])
    assert "fetching order-17" in result.stderr
    assert "before" in again.stderr
    assert (again.exit_code, again.stdout) == (0, "order-17\n")
    assert (other.exit_code, "leave out the id" in other.stderr) == (codes.REFUSED, True)
    assert place.done("logs", "order-17").startswith("fetching order-17\n")
    assert place.done("wait", "order-17") == '["order-17/1","order-17/2"]\n'
    said = [
        *("started", "process 1 begins", "workflow begins", "fetch#1", "completed"),
        "process 1 exited 0",
    ]
    assert all(each in shown for each in said)
    assert shown.index("workflow begins") < shown.index("fetch#1")
    assert history["instance"]["output"] == ["order-17/1", "order-17/2"]
    assert [one["checkpoint_id"] for one in history["checkpoints"]] == ["fetch#1", "~workflow"]
    assert [one["cause"] for one in history["launches"]] == ["exited"]


def test_a_failed_instance_says_where_and_is_retried(place: Location) -> None:
    """Its list line has the step and the command; each attempt is in its timeline."""
    result = place.run("start", "pay", '"order-9"', "--id", "order-9", "--wait")
    (row,) = (line.split("\t") for line in place.done("list", "--workflow", "pay").splitlines())
    shown = place.done("show", "order-9")
    retried = place.run("retry", "order-9")
    again = place.run("wait", "order-9", "--timeout", PATIENCE)

    assert (result.exit_code, result.stdout) == (codes.UNSUCCESSFUL, "")
    assert "the bank is closed" in result.stderr
    assert row[0:3] == ["order-9", "pay", "failed in charge#1"]
    assert row[4] == "runtara retry order-9"
    assert "charge#1 attempt 1 failed  OSError: the bank is closed" in shown
    assert "output:" not in shown
    assert (retried.exit_code, "made again: charge#1" in retried.stderr) == (codes.DONE, True)
    assert again.exit_code == codes.UNSUCCESSFUL
    assert "charging" in place.run("logs", "order-9").output
    assert len(place.json("show", "order-9")[0]["launches"]) == 2


def test_a_failed_instance_goes_on_with_mended_code(place: Location) -> None:
    """A retry keeps the version that the instance had, and says how to take the newer one."""
    file = place.folder / "mended.py"
    file.write_text(MENDED.format(body="raise ValueError('no such account')"))
    place.done("deploy", str(file))
    place.run("start", "mended", '"order-1"', "--id", "m-1", "--wait")
    file.write_text(MENDED.format(body="return order"))
    place.done("deploy", str(file))
    kept = place.run("retry", "m-1")
    failed = place.run("wait", "m-1", "--timeout", PATIENCE)
    place.done("retry", "m-1", "--with-image", "newest")
    ended = place.done("wait", "m-1", "--timeout", PATIENCE)
    (again,) = place.json("show", "m-1")

    assert "version 2 is newer: `runtara retry m-1 --with-image newest`" in kept.stderr
    assert failed.exit_code == codes.UNSUCCESSFUL
    assert (ended, again["instance"]["image_version"]) == ('"order-1"\n', 2)


def test_an_instance_is_sent_what_it_waits_for(place: Location) -> None:
    """The list says what it waits for and until when."""
    waiting(place, "a-1")
    (row,) = (line.split("\t") for line in place.done("list", "--status", "suspended").splitlines())
    place.done("send", "a-1", "approved", "true")
    second = place.run("send", "a-1", "approved", "false")

    assert row[2] == "waiting for 'approved'"
    assert row[4] == "times out in 6 d 23 h"
    assert json.loads(place.done("wait", "a-1", "--timeout", PATIENCE)) == "paid"
    assert second.exit_code == codes.REFUSED or "stands" in second.stderr


def test_an_instance_is_paused_resumed_forked_cancelled_and_stopped(place: Location) -> None:
    """Each verb does what it says to the one that is named."""
    waiting(place, "a-2")
    place.done("pause", "a-2")
    place.done("resume", "a-2")
    copy = place.done("fork", "a-2", "--id", "a-3").strip()
    place.done("cancel", "a-2")
    place.done("stop", copy, "--grace", "0", "--reason", "enough")

    ended = [place.run("wait", one, "--timeout", PATIENCE) for one in ("a-2", "a-3")]
    assert [one.exit_code for one in ended] == [codes.UNSUCCESSFUL] * 2
    assert "cancelled: enough" in ended[1].stderr
    assert place.run("resume", "a-2").exit_code == codes.REFUSED


def test_an_operator_sees_and_sets_what_bounds_launches(place: Location) -> None:
    """Environments, holds, limits and queues."""
    (here,) = place.json("environments")
    place.done("environments", "--drain", here["environment_id"])
    drained = place.json("environments")
    place.done("environments", "--undrain", here["environment_id"])
    held = place.json("hold", "--image", "pay", "--reason", "closed")
    released = place.json("hold", "--image", "pay", "--release")
    limited = place.json("limits", "--image", "pay", "--set", "2")
    unlimited = place.json("limits", "--image", "pay", "--clear")
    queues = place.json("queues", "--put", "slow", "--rate", "5", "--period", "1m")
    place.done("queues", "--delete", "slow")

    assert [one["is_draining"] for one in drained] == [True]
    assert [(one["scope"], one["name"], one["reason"]) for one in held] == [
        ("image_name", "pay", "closed")
    ]
    assert released == []
    assert [one["max_concurrent"] for one in limited] == [2]
    assert unlimited == []
    assert [(one["name"], one["rate"], one["rate_period"]) for one in queues] == [("slow", 5, 60)]


def test_a_place_that_is_well_is_said_to_be_so(place: Location) -> None:
    """Otherwise the command names the problem and the remedy."""
    well = {one["name"]: one["remedy"] for one in place.json("doctor")}
    place.done("hold", "--workflow", "pay")
    held = place.run("doctor")
    place.done("hold", "--workflow", "pay", "--release")
    seen = place.done("top", "--limit", "5")

    assert set(well) == {"python", "way", "environment", "environments"}
    assert set(well.values()) == {""}
    assert (held.exit_code, "runtara hold … --release" in held.stdout) == (codes.UNSUCCESSFUL, True)
    assert re.search(r"\d+ completed", seen)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("show", "nothing"), codes.REFUSED, "runtara list"),
        (("wait", "nothing"), codes.REFUSED, "runtara list"),
        (("start", "fullfil"), codes.USAGE, "Did you mean fulfil?"),
        (("start", "fulfil", "order-17"), codes.USAGE, "takes double quotes: '\"order-17\"'"),
        (("logs", "nothing"), codes.REFUSED, "runtara list"),
        (("schedules", "next", "nothing"), codes.REFUSED, "runtara schedules list"),
        (("deploy", "/nowhere.py"), codes.USAGE, "name one that exists"),
        (("list", "--since", "yesterday"), codes.USAGE, "how long ago as 2h"),
        (("images", "--delete", "nothing"), codes.REFUSED, "runtara images"),
        (("list", "--address", "127.0.0.1:9"), codes.UNREACHABLE, "reachable by UDP"),
        (("list", "--address", "nowhere"), codes.USAGE, "host:port"),
    ],
)
def test_an_error_says_what_to_do_next(
    place: Location, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """Its exit code says which kind of error it is."""
    result = place.run(*arguments)

    assert (result.exit_code, said in result.stderr, result.stdout) == (code, True, ""), (
        result.output
    )


def test_a_schedule_is_made_foretold_and_operated(place: Location) -> None:
    """Each verb is called. A workflow's own schedule comes with its image."""
    ticks = place.json("schedules", "add", "nightly", "30 2 * * *", "--workflow", "fulfil",
        "--tz", "Europe/Paris", "--overlap", "allow", "--input", '"order-9"')  # fmt: skip
    place.done("schedules", "pause", "nightly", "--reason", "holidays")
    (paused,) = place.json("schedules", "list")
    coming = place.json("schedules", "next", "nightly", "--limit", "2")
    place.done("schedules", "resume", "nightly")
    (triggered,) = place.json("schedules", "trigger", "nightly")
    backfilled = place.json(
        "schedules", "backfill", "nightly", "--from", "2026-03-28T12:00Z",
        "--until", "2026-03-30T12:00Z", "--dry-run",
    )  # fmt: skip
    place.done("wait", triggered["instance_id"], "--timeout", PATIENCE)
    shown = place.run("schedules", "list").output
    again = place.run("schedules", "add", "nightly", "@daily", "--workflow", "fulfil")
    place.done("schedules", "rm", "nightly")

    assert [one["local_time"][10:16] for one in ticks] == ["T02:30"] * 3
    assert (paused["is_paused"], paused["pause_reason"]) == (True, "holidays")
    assert coming == ticks[:2]
    assert [one["local_time"] for one in backfilled] == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]
    assert again.stderr == ""
    assert shown.startswith("nightly\tdev\tfulfil\t30 2 * * *\tEurope/Paris\tin ")
    assert place.json("schedules", "list") == []


def test_a_schedule_of_nothing_that_runs_is_made_with_a_note(place: Location) -> None:
    made = place.run("schedules", "add", "nightly", "@daily", "--workflow", "fullfil", "--json")
    place.done("schedules", "rm", "nightly")

    assert (made.exit_code, len(made.stdout.splitlines())) == (codes.DONE, 3)
    assert "no image or worker for 'fullfil' yet" in made.stderr
    assert "Did you mean fulfil?" in made.stderr


def test_a_stored_schedule_is_no_error_if_the_look_for_its_workflow_fails(
    place: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older environment does not know each of the requests that look for it."""
    monkeypatch.setattr(Environments, "list", AsyncMock(side_effect=RequestNotKnown("too old")))
    made = place.run("schedules", "add", "nightly", "@daily", "--workflow", "fullfil")
    place.done("schedules", "rm", "nightly")

    assert (made.exit_code, made.stderr, made.stdout.count("\n")) == (codes.DONE, "", 3)


def test_a_workflow_is_deployed_with_its_schedule(place: Location) -> None:
    code = """
from runtara_sdk import Tick, workflow

@workflow(cron="@daily", tz="Asia/Tokyo")
async def nightly(tick: Tick) -> str:
    return tick.at.isoformat()
"""
    (place.folder / "nightly.py").write_text(code)
    place.done("deploy", str(place.folder / "nightly.py"))
    (declared,) = place.json("schedules", "list")
    (triggered,) = place.json("schedules", "trigger", "nightly")
    place.done("wait", triggered["instance_id"], "--timeout", PATIENCE)
    place.done("schedules", "rm", "nightly")

    assert (declared["workflow"], declared["time_zone"]) == ("nightly", "Asia/Tokyo")
    assert declared["is_declared"]

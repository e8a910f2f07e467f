"""One change of many instances, also after a kill in the middle of it."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from tests.cli.test_audit import DONE, Doctored
from tests.cli.test_direct import run
from tests.support.server_process import environment

from runtara_cli import codes, direct
from runtara_environment.operations import OPERATIONS
from runtara_management_sdk.instances import Instances
from runtara_protocol.pb import environment_pb2 as pb

MANY = 40

KILLED = """
import os, signal
from runtara_cli.__main__ import main
from runtara_management_sdk.instances import Instances

made, retry = 0, Instances.retry

async def counted(self, instance_id, **more):
    global made
    await retry(self, instance_id, **more)
    made += 1
    if made == 20:
        os.kill(os.getpid(), signal.SIGKILL)

Instances.retry = counted
main()
"""


class Many:
    """A database with many failed instances, and one of another workflow."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "core.db"
        database = Doctored(f"sqlite:{self._path}")
        failed = {
            "status": "failed",
            "error": "the bank is closed",
            "tenant_id": "t",
            "run_epoch": 1,
        }
        rows = [
            {**DONE, **failed, "instance_id": f"i-{number}", "workflow": "pay"}
            for number in range(MANY)
        ]
        rows.append({**DONE, **failed, "instance_id": "other", "workflow": "other"})
        database.put({"instances": rows})

    def give(self, *arguments: str) -> Result:
        """Give a command."""
        return run(*arguments, "--database-url", f"sqlite:{self._path}")

    def killed(self, *arguments: str) -> int:
        """Give a command that is killed at its twentieth instance; gives how it ended."""
        return subprocess.run(
            [sys.executable, "-c", KILLED, *arguments, "--database-url", f"sqlite:{self._path}"],
            env=environment({}),
        ).returncode

    def asked(self, statement: str) -> list[tuple[str, int]]:
        """Ask the database."""
        with closing(sqlite3.connect(self._path)) as database, database:
            return database.execute(statement).fetchall()

    def names(self) -> set[str]:
        """Tell which instances there are."""
        return {name for name, _ in self.asked("SELECT instance_id, 1 FROM instances")}

    def retried(self) -> dict[str, int]:
        """Tell how often each instance was retried."""
        statement = (
            "SELECT instance_id, count(*) FROM instance_events"
            " WHERE subtype = 'runtara.reopened' GROUP BY 1"
        )
        return dict(self.asked(statement))


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Many:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Many(tmp_path)


def test_a_change_is_counted_and_agreed_to_first(many: Many) -> None:
    """Without a terminal, nothing is changed without --yes."""
    result = many.give("retry", "--workflow", "pay", "--error", "bank")

    assert (result.exit_code, "--yes" in result.stderr) == (codes.USAGE, True)
    assert "retry: 40 instances (workflow pay, error bank): 40 failed" in result.stderr
    assert many.retried() == {}


def test_all_that_are_chosen_are_changed(many: Many) -> None:
    """Afterwards the filters choose no instance."""
    result = many.give("retry", "--workflow", "pay", "--yes")
    again = many.give("retry", "--workflow", "pay", "--yes")

    assert (result.exit_code, result.stdout) == (codes.DONE, "40\n")
    assert many.retried() == {f"i-{number}": 1 for number in range(MANY)}
    assert (again.exit_code, "0 instances" in again.stderr) == (codes.DONE, True)


def test_it_is_said_once_that_instances_have_no_image_to_take(many: Many) -> None:
    """A line for each would drown the rest."""
    result = many.give("retry", "--workflow", "pay", "--with-image", "newest", "--yes")

    assert (result.exit_code, result.stdout) == (codes.DONE, "40\n")
    assert result.stderr.count("image") == 2
    assert "without an image: 40, so" in result.stderr


def test_a_change_that_was_killed_goes_on_and_changes_none_twice(many: Many) -> None:
    """An instance that has failed again meanwhile is not changed either."""
    ended = many.killed("retry", "--workflow", "pay", "--yes")
    before = many.retried()
    many.asked(
        "UPDATE instances SET status = 'failed', finished_at = '2099-01-01T00:00:00.000Z'"
        " WHERE instance_id IN (SELECT instance_id FROM instance_events)"
    )
    result = many.give("retry", "--workflow", "pay")

    assert ended == -signal.SIGKILL
    assert 20 <= len(before) < MANY
    assert (result.exit_code, "goes on: 16 of 40 are done" in result.stderr) == (codes.DONE, True)
    assert many.retried() == {f"i-{number}": 1 for number in range(MANY)}


def test_a_change_that_was_stopped_long_ago_is_asked_about_anew(
    many: Many, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its plan is forgotten: what it would have changed may be meant no more."""
    retry, begun = Instances.retry, list[str]()

    async def interrupted(instances: Instances, instance_id: str, **more: Any) -> None:
        begun.append(instance_id)
        if len(begun) == 20:
            raise KeyboardInterrupt
        await retry(instances, instance_id, **more)

    with monkeypatch.context() as broken:
        broken.setattr(Instances, "retry", interrupted)
        many.give("retry", "--workflow", "pay", "--yes")
    before = many.retried()
    [noted] = tmp_path.glob("state/runtara/bulk/*.done")
    then = time.time() - 2 * 3600
    os.utime(noted, (then, then))
    result = many.give("retry", "--workflow", "pay")
    again = many.give("retry", "--workflow", "pay")

    assert "too old: 16 of 40 are done, as of 2 h ago" in result.stderr
    assert [one.exit_code for one in (result, again)] == [codes.USAGE] * 2
    assert f"retry: {MANY - len(before)} instances" in again.stderr
    assert many.retried() == before


def test_refused_instances_are_listed_and_the_rest_is_changed(many: Many) -> None:
    """The exit code says that there were some."""
    many.asked(
        "UPDATE instances SET status = 'suspended', finished_at = NULL,"
        " sleep_until = '2099-01-01T00:00:00.000Z' WHERE workflow = 'pay'"
    )
    cancelled = many.give("cancel", "--workflow", "pay", "--yes", "--json")
    wrong = many.give("cancel", "--status", "failed", "--yes")
    both = many.give("cancel", "i-1", "--workflow", "pay")
    none = many.give("cancel")
    finished = many.give("cancel", "other")

    assert (cancelled.exit_code, '"changed": 40' in cancelled.stdout) == (codes.DONE, True)
    assert [one.exit_code for one in (wrong, both, none)] == [codes.USAGE] * 3
    assert finished.exit_code == codes.REFUSED


def test_a_deletion_that_was_interrupted_goes_on(
    many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was made again under the id of one that is gone stays."""
    delete, deleted = Instances.delete, list[str]()

    async def interrupted(instances: Instances, instance_id: str, **more: Any) -> int:
        count = await delete(instances, instance_id, **more)
        deleted.append(instance_id)
        if len(deleted) == 20:
            raise KeyboardInterrupt
        return count

    with monkeypatch.context() as broken:
        broken.setattr(Instances, "delete", interrupted)
        first = many.give("rm", "--workflow", "pay", "--yes")
    left = many.names()
    many.asked(
        "INSERT INTO instances (instance_id, tenant_id, workflow, status, finished_at, created_at)"
        f" VALUES ('{deleted[-1]}', 't', 'pay', 'completed', '2099-01-01T00:00:00.000Z',"
        " '2098-01-01T00:00:00.000Z')"
    )
    result = many.give("rm", "--workflow", "pay")

    assert (first.exit_code, "stopped: 16 of 40 are done" in first.stderr) == (130, True)
    assert 1 < len(left) <= MANY + 1 - 20
    assert (result.exit_code, "goes on: 16 of 40 are done" in result.stderr) == (codes.DONE, True)
    assert many.names() == {"other", deleted[-1]}


def test_what_has_ended_is_deleted_with_its_children(many: Many) -> None:
    """
    One whose parent has gone before it is gone; one that is open is refused, and named.

    The question says that children go, too, and they are counted.
    """
    many.asked("UPDATE instances SET parent_id = 'i-0' WHERE instance_id IN ('i-1', 'i-2')")
    many.asked("UPDATE instances SET workflow = 'child' WHERE instance_id = 'i-2'")
    many.asked(
        "UPDATE instances SET status = 'running', finished_at = NULL WHERE instance_id = 'other'"
    )
    refused = many.give("rm", "other")
    unknown = many.give("rm", "unknown")
    done = many.give("rm", "--workflow", "pay", "--yes")

    assert (refused.exit_code, "cancel or stop it first" in refused.stderr) == (codes.REFUSED, True)
    assert unknown.exit_code == codes.REFUSED
    assert (done.exit_code, done.stdout) == (codes.DONE, "40\n")
    assert "rm: 39 instances with all their children (workflow pay): 39 failed" in done.stderr
    assert many.names() == {"other"}


def test_what_has_changed_since_it_was_chosen_is_not_deleted(
    many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example an instance that was retried and has failed again."""
    delete = Instances.delete

    async def late(instances: Instances, instance_id: str, **more: Any) -> int:
        many.asked(
            "UPDATE instances SET finished_at = '2099-01-01T00:00:00.000Z'"
            f" WHERE instance_id = '{instance_id}' AND instance_id <> 'i-7'"
        )
        return await delete(instances, instance_id, **more)

    monkeypatch.setattr(Instances, "delete", late)
    result = many.give("rm", "--workflow", "pay", "--yes")

    assert (result.exit_code, result.stdout) == (codes.DONE, "1\n")
    assert f"passed over: {MANY - 1}, gone or changed" in result.stderr
    assert len(many.names()) == MANY


def test_an_environment_that_would_ignore_the_conditions_deletes_nothing(
    many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is too old to know them; a deletion that has none goes on as before."""
    older = {name: OPERATIONS.handlers[name] for name in OPERATIONS.handlers}
    del older["delete_instance_if"]
    monkeypatch.setattr(direct, "OPERATIONS", replace(OPERATIONS, handlers=older))
    chosen = many.give("rm", "--workflow", "pay", "--yes")
    pruned = many.give("prune", "--before", "1m", "--workflow", "pay", "--yes")
    named = many.give("rm", "i-1")

    assert [one.exit_code for one in (chosen, pruned)] == [codes.REFUSED] * 2
    assert "the environment is older than this command: update it" in chosen.stderr
    assert (named.exit_code, len(many.names())) == (codes.DONE, MANY)


@pytest.mark.parametrize("verb", ["cancel", "retry", "resume", "rm"])
def test_an_environment_that_ignores_a_filter_changes_nothing(
    verb: str, many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would choose all of them. Filters that every environment knows choose as before."""

    def without_workflows(data: bytes) -> pb.RpcRequest:
        request = pb.RpcRequest.FromString(data)
        if request.WhichOneof("request") == "list_instances":
            request.list_instances.ClearField("workflow")
        return request

    monkeypatch.setattr(direct, "OPERATIONS", replace(OPERATIONS, parse=without_workflows))
    before = many.asked("SELECT instance_id, status FROM instances")
    refused = many.give(verb, "--workflow", "pay", "--yes")
    listed = many.give("list", "--workflow", "pay")
    others = many.give("list", "--tenant", "t", "--limit", "0")

    assert (refused.exit_code, listed.exit_code, others.exit_code) == (
        codes.REFUSED, codes.REFUSED, codes.DONE,
    )  # fmt: skip
    assert "does not confirm that it filters by workflow" in refused.stderr
    assert "the environment is older than this command: update it" in refused.stderr
    assert (listed.stdout, len(others.stdout.splitlines())) == ("", MANY + 1)
    assert many.asked("SELECT instance_id, status FROM instances") == before


def test_an_empty_filter_is_refused(many: Many) -> None:
    """An unset variable of a shell would choose the instances of all workflows."""
    result = many.give("rm", "--workflow", "", "--status", "failed", "--yes")

    assert (result.exit_code, "'--workflow': is empty" in result.stderr) == (codes.USAGE, True)
    assert len(many.names()) == MANY + 1


def test_what_goes_on_by_itself_is_not_taken_for_what_an_export_has_left(many: Many) -> None:
    """An example is a sleeping instance, when the ID was mistyped."""
    many.asked("UPDATE instances SET status = 'suspended', finished_at = NULL")
    many.asked(
        "UPDATE instances SET sleep_until = '2099-01-01T00:00:00.000Z' WHERE instance_id = 'i-1'"
    )
    asleep = many.give("rm", "--exported", "i-1")
    paused = many.give("rm", "--exported", "i-2")

    assert (asleep.exit_code, paused.exit_code) == (codes.REFUSED, codes.DONE)
    assert "it is asleep, and not about to pause" in asleep.stderr
    assert "pause and export it first" in asleep.stderr
    assert many.names() & {"i-1", "i-2"} == {"i-1"}


def test_children_of_open_parents_are_refused_and_what_helps_is_said(many: Many) -> None:
    many.asked("UPDATE instances SET parent_id = 'other' WHERE instance_id IN ('i-1', 'i-2')")
    many.asked(
        "UPDATE instances SET status = 'running', finished_at = NULL WHERE instance_id = 'other'"
    )
    result = many.give("rm", "--workflow", "pay", "--yes")

    assert (result.exit_code, result.stdout) == (codes.REFUSED, "38\n")
    assert "i-1: Instance 'i-1' can't be deleted: its parent 'other' is open" in result.stderr
    assert "Next: what a parent or child keeps can go when that has ended" in result.stderr
    assert many.names() == {"i-1", "i-2", "other"}


def test_finished_instances_are_pruned_once_agreed_to(many: Many) -> None:
    """Instances that finished before a time are pruned, and no others."""
    many.asked(
        "UPDATE instances SET finished_at = '2099-01-01T00:00:00.000Z' WHERE workflow = 'other'"
    )
    unasked = many.give("prune", "--before", "1m")
    pruned = many.give("prune", "--before", "1m", "--yes")
    again = many.give("prune", "--before", "1m", "--yes")

    assert (unasked.exit_code, "40 instances" in unasked.stderr) == (codes.USAGE, True)
    assert (pruned.exit_code, pruned.stdout) == (codes.DONE, "40\n")
    assert many.asked("SELECT instance_id, 1 FROM instances") == [("other", 1)]
    assert (again.exit_code, again.stdout) == (codes.DONE, "")


def test_a_family_with_a_later_end_is_not_pruned(many: Many) -> None:
    """An example is a family with a detached child that has just ended."""
    many.asked(
        "UPDATE instances SET parent_id = 'i-0', workflow = 'child',"
        " finished_at = '2099-01-01T00:00:00.000Z' WHERE instance_id = 'i-2'"
    )
    pruned = many.give("prune", "--before", "1m", "--workflow", "pay", "--yes")

    assert (pruned.exit_code, pruned.stdout) == (codes.DONE, "38\n")
    assert "passed over: 1, gone or changed" in pruned.stderr
    assert "or with a child that ended later" in pruned.stderr
    assert many.names() == {"i-0", "i-2", "other"}


def test_filters_choose_among_those_that_are_pruned(
    many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They choose as with rm, also after a kill, though `1m` then means another moment."""
    many.asked("UPDATE instances SET workflow = 'other' WHERE instance_id = 'i-1'")
    many.asked(
        "UPDATE instances SET finished_at = '2099-01-01T00:00:00.000Z' WHERE instance_id = 'i-2'"
    )
    given = ("prune", "--before", "1m", "--workflow", "pay", "--error", "bank")
    delete, begun = Instances.delete, list[str]()

    async def interrupted(instances: Instances, instance_id: str, **more: Any) -> int:
        begun.append(instance_id)
        if len(begun) == 20:
            raise KeyboardInterrupt
        return await delete(instances, instance_id, **more)

    with monkeypatch.context() as broken:
        broken.setattr(Instances, "delete", interrupted)
        first = many.give(*given, "--yes")
    second = many.give(*given)

    assert "prune: 38 instances with all their children" in first.stderr
    assert "(workflow pay, error bank, before 1m)" in first.stderr
    assert (first.exit_code, second.exit_code) == (130, codes.DONE)
    assert "goes on: 16 of 38 are done" in second.stderr
    assert many.names() == {"i-1", "i-2", "other"}
    assert many.give("prune", "--before", "1m", "--status", "running").exit_code == codes.USAGE

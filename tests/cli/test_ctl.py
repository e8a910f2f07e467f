"""`runtara-ctl`, as scripts for the original's give it."""

import json
import sys
import time
from dataclasses import dataclass

import pytest
from tests.cli.conftest import Location

from runtara_cli.ctl import main

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Ended:
    """What a command has printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


class Ctl:
    """Gives commands to the environment of a place."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ended:
        self._monkeypatch.setattr(sys, "argv", ["runtara-ctl", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        printed, told = self._capsys.readouterr()
        return Ended(int(end.value.code or 0), printed, told)


@pytest.fixture
def ctl(
    place: Location, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ctl:
    for name, value in place.variables.items():
        monkeypatch.setenv(name, value)
    return Ctl(monkeypatch, capsys)


def test_a_script_for_the_originals_command_works(ctl: Ctl, place: Location) -> None:
    """Ids are printed alone, everything else is JSON over several lines."""
    binary = place.folder / "true"
    binary.write_text("#!/bin/sh\nexit 0\n")
    image = ctl(
        "register", "--binary", str(binary), "--tenant", "dev", "--name", "t",
        "--description", "nothing",
    ).stdout.strip()  # fmt: skip
    shown = ctl("get-image", image, "dev").stdout
    images = json.loads(ctl("list-images", "--tenant", "dev", "--limit", "1").stdout)
    (fulfil,) = place.json("images", "fulfil")
    started = ctl(
        "start", "--image", fulfil["image_id"], "--tenant", "dev", "--input", '"a"',
        "--instance-id", "ctl-1", "--timeout", "60",
    )  # fmt: skip
    ended = json.loads(ctl("wait", "ctl-1", "--poll", "100").stdout)
    # The figures of the process come with its launch's verdict, after the instance's end.
    deadline = time.monotonic() + 60
    while "stderr" not in (status := json.loads(ctl("status", "ctl-1").stdout)):
        assert time.monotonic() < deadline, status
        time.sleep(0.05)
    listed = json.loads(ctl("list-instances", "--tenant", "dev").stdout)

    assert (json.loads(shown)["runner_type"], shown.count("\n") > 5) == ("oci", True)
    assert [one["image_id"] for one in images] == [image]
    assert (started.returncode, started.stdout) == (0, "ctl-1\n")
    assert (ended["status"], ended["output"]) == ("completed", ["a/1", "a/2"])
    assert (status["instance_id"], status["status"]) == ("ctl-1", "completed")
    assert "ctl-1" in [one["instance_id"] for one in listed]
    assert json.loads(ctl("delete-image", image, "dev").stdout) == {"success": True}
    health = json.loads(ctl("health").stdout)
    assert (health["healthy"], list(health)) == (
        True, ["healthy", "version", "uptime_ms", "active_instances"],
    )  # fmt: skip
    assert set(images[0]) == {
        "image_id", "tenant_id", "name", "description", "runner_type", "created_at_ms",
    }  # fmt: skip
    assert set(status) == {
        "instance_id", "tenant_id", "status", "checkpoint_id", "created_at_ms", "started_at_ms",
        "finished_at_ms", "heartbeat_at_ms", "input", "output", "image_id", "image_name",
        "retry_count", "max_retries", "memory_peak_bytes", "cpu_usage_usec", "stderr",
    }  # fmt: skip
    assert set(listed[0]) == {
        "instance_id", "tenant_id", "status", "image_id", "has_error", "created_at_ms",
        "started_at_ms", "finished_at_ms",
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "nothing"), ("get-image", "nothing", "dev"), ("cancel", "nothing"),
        ("start", "--image", "x"), ("nothing",), ("resume", "ctl-nothing"), ("pause", "ctl-no"),
        ("stop", "ctl-no"),
    ],
)  # fmt: skip
def test_whatever_goes_wrong_is_an_error_and_exit_code_1(
    ctl: Ctl, arguments: tuple[str, ...]
) -> None:
    """Nothing is printed to standard output."""
    run = ctl(*arguments)

    assert (run.returncode, run.stdout, "Error: " in run.stderr) == (1, "", True), run
    assert "Traceback" not in run.stderr

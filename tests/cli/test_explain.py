"""Why an instance does not move, in every situation that there is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runtara_cli import explaining, words
from runtara_cli.advice import next_of
from runtara_cli.explaining import Surroundings, explain
from runtara_management_sdk import (
    Environment,
    Image,
    Instance,
    InstanceSummary,
    Launch,
    Runner,
    Status,
    Waiting,
)

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HERE = Environment(
    environment_id="here", kind="environment", machine="m", version="1", capacity=4,
    open_launches=0, started_at=NOW, lease_until=NOW + HOUR,
)  # fmt: skip
GONE = replace(HERE, environment_id="gone", lease_until=NOW - HOUR)
LAUNCH = Launch(
    launch_id="l", instance_id="i", environment_id="here", number=2, created_at=NOW - HOUR, run=1
)
IMAGE = Image(image_id="m", tenant_id="t", name="pay", runner=Runner.PYTHON, created_at=NOW)
ONE = Instance(
    instance_id="i", tenant_id="t", status=Status.SUSPENDED, created_at=NOW - HOUR, image_id="m",
    image_name="pay", workflow="pay",
)  # fmt: skip


def told(
    *, launch: Launch | None = None, environments: tuple[Environment, ...] = (HERE,), **more: Any
) -> explaining.Explanation:
    """Explain an instance that is so."""
    return explain(replace(ONE, **more), Surroundings(launch, environments, IMAGE, NOW))


def waits(kind: str, name: str, until: datetime | None = None) -> tuple[Waiting, ...]:
    return (Waiting(kind, name, NOW - HOUR, until),)


@pytest.mark.parametrize(
    ("situation", "said", "actor", "command", "is_stuck"),
    [
        ({"status": Status.COMPLETED}, "has completed", explaining.NONE, "runtara show i", False),
        ({"status": Status.FAILED, "error": "no"}, "failed: no", explaining.OPERATOR,
         "runtara retry i", False),
        ({"status": Status.FAILED, "error": "StepFailed: step 'pay' (pay#2) failed after 3"
          " attempts: OSError: closed (raised as StepFailed; to catch it)\nTraceback"},
         "failed in pay#2 with OSError: closed", explaining.OPERATOR, "runtara retry i", False),
        ({"status": Status.FAILED, "error": f"InputRefused: takes a text, got {'x' * 80}:\n no"},
         f"failed: InputRefused: takes a text, got {'x' * 80}", explaining.OPERATOR,
         "runtara start pay JSON", False),
        ({"is_blocked": True, "error": "changed"}, "can't go on", explaining.OPERATOR,
         "runtara deploy", True),
        ({}, "is paused", explaining.OPERATOR, "runtara resume i", False),
        ({"waiting_for": waits("promise", "go", NOW + HOUR)}, "value of 'go', for 1 h more",
         explaining.SENDER, "runtara send i go JSON", False),
        ({"waiting_for": waits("child", "c")}, "its child 'c'", explaining.CHILD,
         "runtara explain c", False),
        ({"waiting_for": waits("decision", "pay#1!decision#1")}, "effect of pay#1",
         explaining.OPERATOR, "runtara send i 'pay#1!decision#1'", False),
        ({"waiting_for": waits("sleep", "s", NOW + HOUR)}, "sleeps, for 1 h more", explaining.TIME,
         "runtara resume i", False),
        ({"waiting_for": waits("sleep", "s", NOW + HOUR), "environments": (GONE,)},
         "no environment runs", explaining.OPERATOR, "runtara dev", True),
        ({"waiting_for": waits("sleep", "s", NOW - HOUR)}, "is due", explaining.ENVIRONMENT,
         "runtara environments", False),
        ({"status": Status.RUNNING, "launch": LAUNCH}, "process 2 has run for 1 h",
         explaining.PROCESS, "runtara logs -f i", False),
        ({"status": Status.PENDING, "launch": replace(LAUNCH, run=None)},
         "process 2 has been starting for 1 h", explaining.PROCESS, "runtara logs -f i", False),
        ({"status": Status.RUNNING, "launch": replace(LAUNCH, environment_id="gone")},
         "another environment takes", explaining.ENVIRONMENT, "runtara environments", False),
        ({"status": Status.RUNNING, "launch": LAUNCH, "environments": ()}, "is gone, and no other",
         explaining.OPERATOR, "runtara dev", True),
        ({"status": Status.PENDING, "environments": ()}, "no environment runs",
         explaining.OPERATOR, "runtara dev", True),
        ({"status": Status.PENDING, "environments": (replace(HERE, is_draining=True),)},
         "is draining", explaining.OPERATOR, "--undrain here", True),
        ({"status": Status.PENDING, "environments": (replace(HERE, open_launches=4),)},
         "as many processes as its capacity allows", explaining.ENVIRONMENT,
         "runtara environments", False),
        ({"status": Status.PENDING}, "about to launch", explaining.ENVIRONMENT,
         "runtara environments", False),
        ({"status": Status.RUNNING, "crashes": 3, "next_launch_at": NOW + HOUR},
         "after 3 crashes without progress, in 1 h", explaining.TIME, "runtara resume i", False),
        ({"status": Status.PENDING, "not_launched": "held: tenant t", "not_launched_kind": "hold"},
         "held: tenant t", explaining.OPERATOR, "--release", True),
        ({"status": Status.PENDING, "not_launched": "the limit of tenant t is reached",
          "not_launched_kind": "limit"}, "launch under its limit ends: the limit of tenant t",
         explaining.LAUNCH, "runtara limits", False),
        ({"status": Status.PENDING, "not_launched": "no node has 4 CPUs free",
          "not_launched_kind": "room", "next_launch_at": NOW + HOUR},
         "waits for room until another launch ends: no node has 4 CPUs free; its launch is tried"
         " again in 1 h", explaining.LAUNCH, "runtara environments", False),
        ({"status": Status.PENDING, "not_launched": "no node has 4 CPUs free",
          "not_launched_kind": "room", "environments": ()}, "no environment runs",
         explaining.OPERATOR, "runtara dev", True),
        ({"status": Status.PENDING, "not_launched": "its image can't be run: no module named x",
          "not_launched_kind": "image"}, "no module named x", explaining.OPERATOR, "--with-image",
         True),
        ({"status": Status.PENDING, "not_launched": "this environment can't run its image: it is",
          "not_launched_kind": "environment"}, "this environment can't run", explaining.OPERATOR,
         "runtara environments", True),
        ({"status": Status.PENDING, "not_launched": "the limit of queue q is reached",
          "waiting_for": (Waiting("queue", "q", reason="5 of 5 slots are taken"),)},
         "waits for a slot in the queue 'q': 5 of 5", explaining.QUEUE, "runtara queues", False),
        ({"status": Status.SUSPENDED,
          "waiting_for": (Waiting("queue", "q", until=NOW + HOUR, reason="9 of 9 starts"),)},
         "the next one starts in 1 h", explaining.TIME, "runtara queues", False),
        ({"status": Status.PENDING, "image_id": None, "workflow": None}, "neither image nor",
         explaining.OPERATOR, "python -m runtara_sdk run", True),
    ],
)  # fmt: skip
def test_each_situation_has_a_sentence_an_actor_and_a_command(
    situation: dict[str, Any], said: str, actor: str, command: str, is_stuck: bool
) -> None:
    """An instance that is not stuck has a party that moves it."""
    found = told(**situation)

    assert said in found.sentence
    assert (found.actor, found.is_stuck) == (actor, is_stuck)
    assert command in found.command


@pytest.mark.parametrize(
    ("why", "kind"),
    [
        ("held: tenant t", "hold"),
        ("the limit of tenant t is reached", "limit"),
        ("its image can't be run: no module named x", "image"),
        ("this environment can't run its image: it is far", "environment"),
        ("no node has 4 CPUs free", "room"),
    ],
)
def test_an_older_environment_tells_the_kind_by_its_text_alone(why: str, kind: str) -> None:
    """The explanation is the same."""
    newer = told(status=Status.PENDING, not_launched=why, not_launched_kind=kind)

    assert told(status=Status.PENDING, not_launched=why) == newer


def test_a_workflow_that_nothing_serves_is_stuck() -> None:
    """A worker that serves it is enough."""
    one = replace(ONE, status=Status.PENDING, image_id=None)
    worker = replace(HERE, workflows=("pay",))

    assert explain(one, Surroundings(None, (HERE,), None, NOW)).is_stuck
    assert not explain(one, Surroundings(None, (worker,), None, NOW)).is_stuck
    assert not explain(one, Surroundings(None, (HERE,), IMAGE, NOW)).is_stuck


@pytest.mark.parametrize(
    ("until", "status", "following"),
    [
        (None, "paused", "runtara resume i"),
        (NOW + HOUR, "sleeping", "wakes in 1 h"),
        (NOW - HOUR, "sleeping", "due now"),
    ],
)
def test_a_sleep_without_a_recorded_wait_is_no_pause(
    until: datetime | None, status: str, following: str
) -> None:
    """Programs of the original SDK record no wait; lists and single instances say the same."""
    shown = replace(ONE, wake_at=until)
    listed = InstanceSummary(
        instance_id="i", tenant_id="t", status=Status.SUSPENDED, created_at=NOW, next_at=until
    )

    for one in (shown, listed):
        assert (words.status(one), next_of(one, NOW)) == (status, following)

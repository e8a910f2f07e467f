"""Explains why an instance does not move: the reason, the party that must act, and the remedy."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from runtara_cli import advice, words
from runtara_domain.record import record

if TYPE_CHECKING:
    from runtara_management_sdk import (
        Environment,
        Image,
        Instance,
        Launch,
        ManagementClient,
        Waiting,
    )

OPERATOR, SENDER, TIME, PROCESS = "an operator", "a sender", "time", "its process"
ENVIRONMENT, CHILD, NONE = "an environment", "a child", "nothing more"
QUEUE, LAUNCH = "an instance of its queue", "another launch, by its end"
_LONGEST = 200
"""Characters of an error."""


@record
class Explanation:
    """
    sentence: the reason for the instance's status. actor: the party that moves it next. command:
    the command that helps; "" if none is needed. is_stuck: whether the instance stays where it is
    until an operator repairs the cause.
    """

    instance_id: str
    sentence: str
    actor: str
    command: str = ""
    is_stuck: bool = False


@record
class Surroundings:
    """
    The data for an explanation besides the instance.

    launch: the instance's open launch. image: the image that would be taken for the workflow of an
    instance without an image.
    """

    launch: "Launch | None"
    environments: Sequence["Environment"]
    image: "Image | None"
    now: datetime

    def alive(self) -> list["Environment"]:
        """Return the environments and workers with a valid lease."""
        return [one for one in self.environments if one.lease_until > self.now]


async def image_for(client: "ManagementClient", one: "Instance") -> "Image | None":
    """Return the image that would be taken for a workflow; None for an instance with an image."""
    if one.image_id is not None:
        return None
    async for image in client.images.list(one.tenant_id):
        if one.workflow == (image.metadata.get("workflow") or image.name):
            return image
    return None


def explain(one: "Instance", around: Surroundings) -> Explanation:
    """Explain why an instance does not move, or what moves it."""
    if one.status.is_final:
        return _final(one)
    if one.is_blocked:
        name = one.image_name or one.workflow or "it"
        return Explanation(
            one.instance_id,
            f"its code can't go on with what is recorded:"
            f" {words.first_line(one.error or '', _LONGEST)}",
            OPERATOR,
            f"runtara deploy SOURCE, with code of {name} that fits what is recorded: the instance"
            " moves to the new version",
            is_stuck=True,
        )
    if around.launch is not None:
        return _launched(one, around.launch, around)
    if one.waiting_for and one.waiting_for[0].kind == "queue":
        return _if_served(one, around) or _queued(one, one.waiting_for[0], around)
    if one.status == "suspended" and one.waiting_for:
        found = _waiting(one, one.waiting_for[0], around)
        if found is not None:
            return found
    elif one.status == "suspended" and one.wake_at is None:
        said = "it is paused, and goes on when it is resumed"
        return Explanation(one.instance_id, said, OPERATOR, f"runtara resume {one.instance_id}")
    return _due(one, around)


def _final(one: "Instance") -> Explanation:
    if one.status == "completed":
        said, command = "it has completed", f"runtara show {one.instance_id}"
        return Explanation(one.instance_id, said, NONE, command)
    said = words.status(one)
    if one.status == "failed" and one.error:
        cause = words.cause(one.error)
        said = words.failure(one.error, _LONGEST) + (f" with {cause}" if cause else "")
    return Explanation(one.instance_id, f"it has ended: {said}", OPERATOR, advice.again(one))


def _launched(one: "Instance", launch: "Launch", around: Surroundings) -> Explanation:
    alive = {each.environment_id for each in around.alive()}
    if launch.environment_id not in alive:
        gone = f"process {launch.number} was started by {launch.environment_id}, which is gone"
        if around.alive():
            said = f"{gone}; another environment takes the instance over by itself"
            return Explanation(one.instance_id, said, ENVIRONMENT, "runtara environments")
        return _nowhere(one, f"{gone}, and no other environment runs")
    since = words.ago(launch.started_at or launch.created_at, around.now)
    if launch.run is None:
        said = f"process {launch.number} has been starting for {since}"
    else:
        said = f"process {launch.number} has run for {since}"
        if one.last_activity_at is not None:
            heard = words.ago(one.last_activity_at, around.now)
            said += f"; its last sign of life was {heard} ago"
        if one.waiting_for:
            said += f"; it is {words.waiting(one.waiting_for[0])}"
    return Explanation(one.instance_id, said, PROCESS, f"runtara logs -f {one.instance_id}")


def _waiting(one: "Instance", first: "Waiting", around: Surroundings) -> Explanation | None:
    """Explain a wait; None if its deadline has passed."""
    identity, until = one.instance_id, first.until
    if until is not None and until <= around.now:
        return None
    left = "" if until is None else f", for {words.span(until - around.now)} more"
    if first.kind == "decision":
        step = first.name.partition("!")[0]
        said = f"a crash has left open whether the effect of {step} has happened"
        example = "'{\"again\": true}'"
        return Explanation(
            identity, said, OPERATOR, f"runtara send {identity} '{first.name}' {example}"
        )
    if first.kind == "promise":
        said = f"it waits for a value of {first.name!r}{left}"
        return Explanation(identity, said, SENDER, f"runtara send {identity} {first.name} JSON")
    if first.kind == "child":
        said = f"it waits for its child {first.name!r}{left}"
        return Explanation(identity, said, CHILD, f"runtara explain {first.name}")
    if until is None:
        return None
    word = "it sleeps" if first.kind == "sleep" else f"it tries {first.name} again later"
    said = f"{word}{left}, until {words.clock(until)}"
    return _if_served(one, around) or Explanation(
        identity, said, TIME, f"runtara resume {identity} wakes it now"
    )


def _due(one: "Instance", around: Surroundings) -> Explanation:
    identity = one.instance_id
    if one.not_launched is not None:
        return _not_launched(one, one.not_launched, around)
    unserved = _if_served(one, around)
    if unserved is not None:
        return unserved
    later = one.next_launch_at or one.wake_at
    if later is not None and later > around.now:
        why = f"after {one.crashes} crashes without progress" if one.crashes else "by itself"
        said = f"it is launched {why}, in {words.span(later - around.now)}"
        return Explanation(identity, said, TIME, f"runtara resume {identity} launches it now")
    serving = [each for each in around.alive() if not each.is_draining]
    if all(each.open_launches >= each.capacity for each in serving):
        said = "it is due, but every environment runs as many processes as its capacity allows"
        return Explanation(identity, said, ENVIRONMENT, "runtara environments")
    return Explanation(
        identity, "it is due, and an environment is about to launch it", ENVIRONMENT,
        "runtara environments",
    )  # fmt: skip


def _not_launched(one: "Instance", why: str, around: Surroundings) -> Explanation:
    identity, said = one.instance_id, f"it is not launched: {why}"
    kind = one.not_launched_kind or _kind_of(why)
    if kind in ("room", "limit"):
        return _if_served(one, around) or _without_room(one, kind, why, around)
    command = "runtara hold lists the holds; with --release it removes one"
    if kind == "image":
        command = f"runtara deploy SOURCE, and runtara retry {identity} --with-image ID"
    elif kind != "hold":
        command = "runtara environments: start one that can run its image"
    return Explanation(identity, said, OPERATOR, command, is_stuck=True)


def _kind_of(why: str) -> str:
    """Return the kind of a reason by its text, for older environments, which send no kind."""
    texts = {
        "held: ": "hold",
        "the limit of ": "limit",
        "its image can't be run: ": "image",
        "this environment can't run its image: ": "environment",
    }
    return next((kind for text, kind in texts.items() if why.startswith(text)), "room")


def _without_room(one: "Instance", kind: str, why: str, around: Surroundings) -> Explanation:
    if kind == "limit":
        said = f"it waits until a launch under its limit ends: {why}"
        return Explanation(one.instance_id, said, LAUNCH, "runtara limits")
    said, again = f"it waits for room until another launch ends: {why}", one.next_launch_at
    if again is not None and again > around.now:
        said += f"; its launch is tried again in {words.span(again - around.now)}"
    return Explanation(one.instance_id, said, LAUNCH, "runtara environments")


def _queued(one: "Instance", wait: "Waiting", around: Surroundings) -> Explanation:
    said = f"it waits for a slot in the queue {wait.name!r}: {wait.reason}"
    if wait.until is None:
        return Explanation(one.instance_id, said, QUEUE, "runtara queues")
    said += f"; the next one starts in {words.span(wait.until - around.now)}"
    return Explanation(one.instance_id, said, TIME, "runtara queues")


def _if_served(one: "Instance", around: Surroundings) -> Explanation | None:
    """Explain why no environment can launch the instance; None if one can."""
    if one.image_id is None and one.workflow is None:
        return Explanation(
            one.instance_id,
            "it has neither image nor workflow: only a process that is started by hand moves it",
            OPERATOR,
            f"python -m runtara_sdk run MODULE:FUNCTION --instance-id {one.instance_id}",
            is_stuck=True,
        )
    alive = around.alive()
    if not alive:
        return _nowhere(one, "no environment runs")
    if all(each.is_draining for each in alive):
        command = f"runtara environments --undrain {alive[0].environment_id}"
        said = "every environment is draining: nothing is launched"
        return Explanation(one.instance_id, said, OPERATOR, command, is_stuck=True)
    served = {name for each in alive for name in each.workflows}
    if one.image_id is None and one.workflow not in served and around.image is None:
        said = f"no image or worker serves its workflow {one.workflow!r}"
        return Explanation(one.instance_id, said, OPERATOR, "runtara deploy SOURCE", is_stuck=True)
    return None


def _nowhere(one: "Instance", said: str) -> Explanation:
    command = "runtara dev, or runtara-environment on the database"
    return Explanation(one.instance_id, said, OPERATOR, command, is_stuck=True)

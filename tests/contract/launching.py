"""Environments, images and starts, as the tests of launches need them."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from tests.contract.states import TENANT
from tests.support.clock import START

from runtara_domain.launching.crashes import CrashPolicy
from runtara_domain.launching.verdicts import judge
from runtara_domain.model.environments import Lease, NewEnvironment
from runtara_domain.model.images import NewImage
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Assignment, Closed, Closing, InstanceStart, Offer, Started
from runtara_domain.model.stored_images import Image, RunnerType
from runtara_domain.model.verdicts import LaunchedInstance, Verdict
from runtara_domain.ports.persistence import Persistence

SECOND = timedelta(seconds=1)
LONG = timedelta(days=36_525)
"""A lease that is good at every moment of the tests, whose clock the database doesn't know."""
CODE = b"code"


def judge_as_usual(end: LaunchEnd, instance: LaunchedInstance) -> Verdict:
    return judge(end, instance, CrashPolicy())


def offer_all(environment_id: str) -> Offer:
    """Offer to run every image of which processes send their launch id."""
    return Offer(
        environment_id=environment_id,
        can_run=lambda image: True,
        sends_launch_id=lambda image: image.runner_type is RunnerType.PYTHON,
    )


async def hold_lease(
    persistence: Persistence, environment_id: str, *, ttl: timedelta = LONG, **more: object
) -> Lease:
    new = NewEnvironment(environment_id=environment_id, machine="here", capacity=9)
    return await persistence.environments.open(replace(new, **more), ttl=ttl)  # type: ignore[arg-type]  # Fields by name.


async def put_image(
    persistence: Persistence,
    name: str = "orders",
    *,
    code: bytes = CODE,
    tenant_id: str = TENANT,
    runner_type: str = "python",
    image_id: str | None = None,
    **metadata: object,
) -> Image:
    """Register an image of one chunk."""
    upload_id = hashlib.sha256(name.encode() + code + repr(metadata).encode()).hexdigest()
    await persistence.images.put_chunk(upload_id, 0, code, at=START)
    new = NewImage(
        image_id=image_id or upload_id[:16],
        tenant_id=tenant_id,
        name=name,
        runner_type=RunnerType(runner_type),
        sha256=hashlib.sha256(code).hexdigest(),
        size_bytes=len(code),
        metadata=metadata,
    )
    return (await persistence.images.register(new, upload_id, at=START)).image


async def start(
    persistence: Persistence,
    instance_id: str = "i",
    *,
    offer: Offer | None = None,
    **fields: object,
) -> Started:
    asked = InstanceStart(instance_id=instance_id, tenant_id=TENANT, workflow="orders")
    if "image_id" in fields:
        fields = {"workflow": None, **fields}
    whole = replace(asked, **fields)  # type: ignore[arg-type]  # Fields by name.
    return await persistence.launches.start(whole, at=START, offer=offer)


async def claim(
    persistence: Persistence, environment_id: str = "e", *, limit: int = 9, at: datetime = START
) -> list[Assignment]:
    """Claim what there is for an environment that runs every image."""
    claims = await persistence.launches.claim(offer_all(environment_id), limit=limit, at=at)
    return list(claims.assignments)


async def launch(persistence: Persistence, instance_id: str = "i", **fields: object) -> Assignment:
    """Start an instance of an image and claim it."""
    image = await put_image(persistence)
    await hold_lease(persistence, "e")
    await start(persistence, instance_id, image_id=image.image_id, **fields)  # type: ignore[arg-type]  # Fields by name.
    [assignment] = await claim(persistence)
    return assignment


async def close(
    persistence: Persistence, launch_id: str, end: LaunchEnd, *, at: datetime = START
) -> Closed:
    return await persistence.launches.close(Closing(launch_id, end), judge_as_usual, at=at)


KILLED = LaunchEnd(cause=Cause.KILLED, reports=True, signal=9)

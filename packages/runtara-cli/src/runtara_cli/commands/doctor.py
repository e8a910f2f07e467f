"""`runtara doctor`."""

import platform
import sys
from datetime import timedelta
from importlib.metadata import version
from typing import cast

from runtara_cli import codes
from runtara_cli.command import command as made
from runtara_cli.output import Cell
from runtara_cli.session import Session
from runtara_domain.record import record

_MOST_APART = timedelta(seconds=1)


@record
class Check:
    """The result of a check. remedy: the command that helps; "" if all is well."""

    name: str
    found: str
    remedy: str = ""


@made("doctor", short_help="Check that an environment can be reached and is well.")
async def command(session: Session) -> int:
    """
    Check this installation, the connection to the environment, and the environments themselves.

    The exit code is 1 if a check fails, and 4 if no environment answers.
    """
    checks = [
        Check("python", f"{platform.python_version()} at {sys.executable}"),
        Check("way", _way(session)),
        *await _environment(session),
        *await _environments(session),
        *await _images(session),
    ]

    def cells(record: object) -> list[Cell]:
        one = cast("Check", record)
        return [one.name, (one.found, "red" if one.remedy else "green"), one.remedy]

    session.out.table(("CHECK", "FOUND", "REMEDY"), checks, cells, empty="")
    return codes.UNSUCCESSFUL if any(one.remedy for one in checks) else codes.DONE


def _way(session: Session) -> str:
    way = session.access
    if way.database_url is not None:
        return "on the database, without servers"
    if way.dev_folder is not None:
        return f"{way.environment_addr}, by {way.dev_folder}/.runtara"
    return way.environment_addr or "RUNTARA_ENVIRONMENT_ADDR or 127.0.0.1:8002"


async def _environment(session: Session) -> list[Check]:
    health = await session.client.health()
    ours = version("runtara-cli")
    found = f"version {health.version}, {health.open_launches} open launches"
    is_other = session.access.database_url is None and health.version != ours
    remedy = f"this command is {ours}: use the same version" if is_other else ""
    if not health.is_healthy:
        remedy = "look at the environment's log: its database does not answer"
    return [Check("environment", found, remedy)]


async def _environments(session: Session) -> list[Check]:
    found = await session.client.environments.list()
    alive = [one for one in found if one.lease_until > session.now]
    serving = [one for one in alive if not one.is_draining]
    room = sum(one.capacity - one.open_launches for one in serving)
    remedy = "" if serving else "start one, or runtara environments --undrain ID"
    if serving and room <= 0:
        remedy = "all run as many processes as they may: start another, or raise their capacity"
    checks = [Check("environments", f"{len(serving)} serve, with room for {max(0, room)}", remedy)]
    checks += [
        Check("clock", f"{one.environment_id} is {one.clock_offset} ahead", "set its clock")
        for one in alive
        if abs(one.clock_offset) > _MOST_APART
    ]
    holds = await session.client.environments.holds()
    held = ", ".join(f"{one.scope} {one.name or one.tenant_id}" for one in holds)
    if held:
        checks.append(Check("holds", f"nothing is launched of {held}", "runtara hold … --release"))
    return checks


async def _images(session: Session) -> list[Check]:
    broken = [one async for one in session.client.images.list() if one.problem is not None]
    return [
        Check(
            "image", f"{one.name} version {one.version} can't be run", "runtara images; deploy it"
        )
        for one in broken
    ]

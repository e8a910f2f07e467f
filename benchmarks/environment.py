"""
Launches of an environment, beside the floor of a bare script; sleepers, and their waking.

    launches   from due, signalled and started to a workflow's first line, and the same with an
               image whose import takes 3 s; the floor is measured between them
    cpu        the CPU of a launch with one step, of its process and of all processes
    alive      memory of launches that are alive at once
    sleepers   what instances that sleep cost an environment at rest
    waking     many that are due at once, beside as many forks of the floor

Environment, spawner, launches, the floor's script and this client are processes of their own, and
the core is in the environment's. Read ratios and CPU, not milliseconds.
"""

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.databases import NAMES, database
from benchmarks.environments import (
    SLOW,
    TENANT,
    WORKFLOWS,
    Environment,
    children,
    cpu,
    environment,
    floor,
    idle,
    pss,
    rss,
)
from runtara_management_sdk import Scope

Report = dict[str, Any]
_BEGINNINGS = ("started", "signalled", "due")
_AHEAD_S = 0.6
_SETTLED_S = 0.5
"""What an image has prepared for its next launch is not in the way of what is measured next."""


def _milliseconds(values: Sequence[float]) -> str:
    """Show the median and the quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle * 1000:7.1f} ({low * 1000:.1f}-{high * 1000:.1f}) ms"


def _line(name: str, values: Sequence[float], beside: Sequence[float] | None = None) -> None:
    ratio = ""
    if beside is not None:
        ratio = f"  {statistics.median(values) / statistics.median(beside):.2f} of the floor"
    print(f"  {name:<34}{_milliseconds(values):>28}{ratio}", flush=True)


async def launches(url: str, folder: Path, options: argparse.Namespace) -> Report:
    """Measure each beginning of a launch, with both images and the floor in turn."""
    sources = {"quick": WORKFLOWS, "slow": SLOW}
    samples: dict[str, list[float]] = {"floor": []}
    async with environment(url, folder) as here, floor(here) as bare:
        images = {name: await here.image(sources[name], "walk") for name in options.images}
        for number in range(-1, options.rounds):
            await asyncio.sleep(_SETTLED_S)
            found = {"floor": (await bare.launches())["seconds"][0]}
            for name, image in images.items():
                await asyncio.sleep(_SETTLED_S)
                walked = await _walk(here, image)
                found |= {f"{name} {word}": seconds for word, seconds in walked.items()}
            # The first round has warm interpreters started.
            for name, seconds in found.items() if number >= 0 else ():
                samples.setdefault(name, []).append(seconds)
    print(f"From the beginning to the first line, {options.rounds} rounds")
    for name, values in samples.items():
        _line(name, values, None if name == "floor" else samples["floor"])
    return samples


async def _walk(here: Environment, image: str) -> dict[str, float]:
    """Start an instance, send it a signal once it is suspended, and let it wake by itself."""
    marks, found = here.marks, {}
    sent = time.time()
    started = await here.client.instances.start(TENANT, image_id=image)
    instance_id = started.instance_id
    found["started"] = await marks.moment(instance_id, "started") - sent
    await here.at_rest()
    sent = time.time()
    moment = sent + _AHEAD_S
    await here.client.instances.send(instance_id, "go", str(moment).encode())
    found["signalled"] = await marks.moment(instance_id, "signalled") - sent
    await here.at_rest()
    if time.time() < moment:
        found["due"] = await marks.moment(instance_id, "due") - moment
    await here.client.instances.wait(instance_id, within=timedelta(seconds=120))
    await here.at_rest()
    return found


async def processes(url: str, folder: Path, options: argparse.Namespace) -> Report:
    """Measure the CPU of launches one after another: their own, and with all servers."""
    own: dict[str, list[float]] = {"floor": [], "launch": []}
    whole: dict[str, float] = {"floor": 0.0, "launch": 0.0}
    each = max(options.rounds // 10, 1)
    async with environment(url, folder) as here, floor(here) as bare:
        # It says no marks, as the floor's process doesn't.
        image = await here.image(WORKFLOWS, "plain")
        await _short(here, image)
        for _ in range(10):
            before = here.cpu() + cpu(bare.pid)
            spent = (await bare.launches(each))["cpu"]
            own["floor"] += spent
            whole["floor"] += sum(spent) + here.cpu() + cpu(bare.pid) - before
            before = here.cpu()
            spent = [await _short(here, image) for _ in range(each)]
            own["launch"] += spent
            whole["launch"] += sum(spent) + here.cpu() - before
    count = 10 * each
    print(f"CPU of a launch with one step, {count} of each")
    _line("the floor's process", own["floor"])
    _line("a launch's process", own["launch"], own["floor"])
    for name, seconds in whole.items():
        print(f"  {f'{name}, with all servers':<34}{seconds / count * 1000:>11.1f} ms")
    print(f"  {whole['launch'] / whole['floor']:.2f} of the floor")
    return {**own, "with servers": {name: one / count for name, one in whole.items()}}


async def _short(here: Environment, image: str) -> float:
    started = await here.client.instances.start(TENANT, image_id=image)
    ended = await here.client.instances.wait(started.instance_id, within=timedelta(seconds=120))
    assert ended.status == "completed", ended
    await here.at_rest()
    async for launch in here.client.launches.list(instance_id=started.instance_id):
        assert launch.cpu_usage_usec is not None
        return launch.cpu_usage_usec / 1e6
    raise RuntimeError("an instance that ended has no launch")


async def alive(url: str, folder: Path, options: argparse.Namespace) -> Report:
    """Measure the memory of launches that are alive at once."""
    async with environment(url, folder, capacity=options.alive) as here:
        image = await here.image(WORKFLOWS, "alive")
        for _ in range(options.alive):
            started = await here.client.instances.start(TENANT, image_id=image)
            await here.marks.moment(started.instance_id, "started")
        pids = list(here.marks.pids.values())
        shares = [pss(pid) for pid in pids]
        servers = {
            name: rss(pid)
            for name, pid in zip(("environment", "spawner", "warm"), here.servers(), strict=False)
        }
        async with asyncio.TaskGroup() as group:
            for instance_id in here.marks.pids:
                group.create_task(here.client.instances.send(instance_id, "go", b"0"))
        await here.at_rest()
    mean, most = statistics.mean(shares), max(shares)
    print(f"Memory of {len(pids)} launches alive at once")
    print(f"  PSS of each: {mean / 1e6:.1f} MB, at most {most / 1e6:.1f} MB")
    print("  RSS:", ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in servers.items()))
    return {"pss": shares, "rss": servers}


async def sleepers(url: str, folder: Path, options: argparse.Namespace) -> Report:
    """Measure an environment at rest, with so many instances asleep."""
    written = folder / "statements"
    async with environment(url, folder) as here:
        image = await here.image(WORKFLOWS, "short")
    until = datetime.now(UTC) + timedelta(days=1)
    await _put_to_sleep(url, image, options.sleepers, until)
    async with environment(url, folder, statements=written) as here:
        # What is done once: the lease, what is launchable, what is due next.
        await asyncio.sleep(3)
        asked, spent, began = await _asked(url, written), here.cpu(), time.monotonic()
        await asyncio.sleep(options.rest_seconds)
        seconds = time.monotonic() - began
        spent = here.cpu() - spent
        asked = await _asked(url, written) - asked
        spawner = here.spawner()
        found: Report = {
            "statements a minute": {name: n * 60 / seconds for name, n in asked.items()},
            "share of a core": spent / seconds,
            "rss": rss(here.pid),
            "processes": 0 if spawner is None else len(children(spawner)),
        }
    print(f"An environment with {options.sleepers:,} sleepers, at rest for {seconds:.0f} s")
    print(f"  {sum(asked.values()) * 60 / seconds:.0f} statements a minute:")
    for name, number in asked.most_common():
        print(f"    {number * 60 / seconds:6.1f}  {name}")
    print(
        f"  {found['rss'] / 1e6:.0f} MB RSS with the core, {found['processes']} processes,"
        f" {found['share of a core']:.2%} of a core"
    )
    return found


async def waking(url: str, folder: Path, options: argparse.Namespace) -> Report:
    """Measure how long it takes to launch so many that are due at once, and what CPU they use."""
    async with environment(url, folder) as here:
        image = await here.image(WORKFLOWS, "short")
        # It has a warm interpreter started.
        await _short(here, image)
        # By then a renewal of the lease has brought them.
        due = datetime.now(UTC) + timedelta(seconds=12)
        names = await _put_to_sleep(url, image, options.waking, due)
        names_of = ("environment", "spawner", "warm interpreter")
        servers = dict(zip(names_of, here.servers(), strict=False))
        await asyncio.sleep(due.timestamp() - time.time() - 0.1)
        before, machine = {name: cpu(pid) for name, pid in servers.items()}, idle()
        moments = await asyncio.gather(*(here.marks.moment(name, "started") for name in names))
        while (await here.client.health()).open_launches:  # noqa: ASYNC110  # It is only polled.
            await asyncio.sleep(0.2)
        ended = time.time()
        used = {name: cpu(pid) - before[name] for name, pid in servers.items()}
        unused = idle() - machine
        used["processes"] = sum(
            [
                (launch.cpu_usage_usec or 0) / 1e6
                async for launch in here.client.launches.list()
                if launch.instance_id in set(names)
            ]
        )
        alone = await _launched_alone(here, image, options.waking)
        async with floor(here) as bare:
            before, machine = {"environment": cpu(here.pid), "parent": cpu(bare.pid)}, idle()
            found = await bare.launches(options.waking, 32)
            beside = found["all"]
            below = {
                "environment": cpu(here.pid) - before["environment"],
                "parent": cpu(bare.pid) - before["parent"],
                "processes": sum(found["cpu"]),
            }
            unused_below = idle() - machine
    last, over = max(moments) - due.timestamp(), ended - due.timestamp()
    print(f"{options.waking} due at once, 32 slots")
    print(f"  all at their first line after {last:.1f} s, all over after {over:.1f} s")
    print(f"  as many launches that nothing wakes: {alone:.1f} s; {over / alone:.2f} of it")
    print(f"  as many forks of the floor: {beside:.1f} s; {last / beside:.2f} and", end=" ")
    print(f"{over / beside:.2f} of it")
    for name, parts, rest in (("launch", used, unused), ("floor", below, unused_below)):
        shares = ", ".join(
            f"{part} {seconds / options.waking * 1000:.1f}" for part, seconds in parts.items()
        )
        print(f"  CPU of a {name}, ms: {shares}; unused {rest / options.waking * 1000:.1f}")
    figures: Report = {"first line": last, "over": over, "alone": alone, "floor": beside}
    return figures | {"cpu": used, "floor's cpu": below}


async def _launched_alone(here: Environment, image: str, count: int) -> float:
    """Give the time that as many launches take of instances that have been started before."""
    await here.client.environments.hold(Scope.TENANT, TENANT)
    instances = here.client.instances
    started = [await instances.start(TENANT, image_id=image) for _ in range(count)]
    await here.client.environments.release(Scope.TENANT, TENANT)
    released = time.time()
    for one in started:
        await here.marks.moment(one.instance_id, "started")
    await here.at_rest()
    return time.time() - released


_ASLEEP = """
INSERT INTO instances (
    instance_id, tenant_id, status, sleep_until, image_id, run_epoch, launch_count
)
"""
_SQLITE = f"""
WITH RECURSIVE numbers (number) AS (
    SELECT 0 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < :count
)
{_ASLEEP}
SELECT 'asleep-' || number, :tenant, 'suspended', :until, :image, 1, 1 FROM numbers
"""
_POSTGRES = f"""
{_ASLEEP}
SELECT 'asleep-' || number, $2, 'suspended', $3, $4, 1, 1 FROM generate_series(0, $1 - 1) AS number
"""


async def _put_to_sleep(url: str, image: str, count: int, until: datetime) -> list[str]:
    """Put in instances of an image that sleep."""
    if url.startswith("sqlite:"):
        text = until.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        values = {"count": count, "tenant": TENANT, "until": text, "image": image}
        with sqlite3.connect(url.removeprefix("sqlite:")) as database:
            database.execute(_SQLITE, values)
    else:
        connection = await asyncpg.connect(url)
        await connection.execute(_POSTGRES, count, TENANT, until, image)
        await connection.close()
    return [f"asleep-{number}" for number in range(count)]


async def _asked(url: str, written: Path) -> Counter[str]:
    """Count the statements so far by their kind: on PostgreSQL, transactions alone."""
    if url.startswith("sqlite:"):
        return _kinds(written)
    connection = await asyncpg.connect(url)
    number = await connection.fetchval(
        "SELECT sum(xact_commit + xact_rollback)::bigint FROM pg_stat_database"
        " WHERE datname = current_database()"
    )
    await connection.close()
    return Counter({"transactions": number})


def _kinds(written: Path) -> Counter[str]:
    return Counter(line.split(" ", 1)[1][:60] for line in written.read_text().splitlines())


Section = Callable[[str, Path, argparse.Namespace], Coroutine[None, None, Report]]
SECTIONS: Mapping[str, Section] = {
    "launches": launches,
    "cpu": processes,
    "alive": alive,
    "sleepers": sleepers,
    "waking": waking,
}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=NAMES, default=NAMES[0])
    parser.add_argument("--sections", nargs="*", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--images", nargs="*", choices=("quick", "slow"), default=["quick", "slow"])
    parser.add_argument("--rounds", type=int, default=200, help="launches of each kind")
    parser.add_argument("--alive", type=int, default=200, help="launches alive at once")
    parser.add_argument("--sleepers", type=int, default=100_000)
    parser.add_argument("--rest-seconds", type=float, default=60)
    parser.add_argument("--waking", type=int, default=1000, help="instances due at once")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    options = parser.parse_args()
    reports: dict[str, Report] = {}
    for name in options.sections:
        with database(options.database) as url, tempfile.TemporaryDirectory() as folder:
            reports[name] = asyncio.run(SECTIONS[name](url, Path(folder), options))
    if options.json:
        options.json.write_text(json.dumps(reports, indent=2))


if __name__ == "__main__":
    main()

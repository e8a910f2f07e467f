"""Instances go on in processes that differ in all that their authors don't see."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.sdk.frozen.copies import MADE, ROOT, Replays, on_sqlite, served
from tests.sdk.frozen.endings import RESTS, SENT

pytestmark = pytest.mark.usefixtures("unmeasured")

VERSIONS = ("3.11", "3.12", "3.13", "3.14")

RENAMED = {"label": "caption", "what": "matter", "where": "spot", "number": "count_"}
"""Parameters that are passed by position."""

BEFORE = '''
"""A shop."""

from collections import deque
from dataclasses import dataclass
from typing import Any

from runtara_sdk import promise, step, workflow


class Declined(Exception):
    def __init__(self, order: str) -> None:
        super().__init__(order)
        self.order = order


class Connection:
    pass


@dataclass
class Order:
    id: str
    tags: frozenset[str]


@step(raises=Declined)
async def pay(order: str) -> None:
    raise Declined(order)


@step
async def take(order: Any, *rest: Any, kind: Any = None) -> str:
    return type(order).__name__


class Invoices:
    @classmethod
    @step
    async def create(cls, number: int) -> str:
        return f"invoice {number}"


class Shipments:
    @classmethod
    @step
    async def create(cls, number: int) -> str:
        return f"shipment {number}"


WORDS = frozenset({"a", "b", "c", "d", "e", "f"})


@workflow(name="selling", suspend_after="0s")
async def selling() -> list[str]:
    try:
        await pay("17")
    except Declined as error:
        found = [error.order]
    found.append(await Invoices.create(1))
    found.append(await Shipments.create(2))
    things = [WORDS, deque([WORDS]), {WORDS: 1}, Order("1", WORDS), Connection(), Order, len]
    found += [await take(thing, WORDS, kind=thing) for thing in things]
    return [*found, await promise("go", str)]


@workflow(suspend_after="0s")
async def swapping() -> list[str]:
    found = [await Invoices.create(1), await Shipments.create(1)]
    return [*found, await promise("go", str)]


@workflow(suspend_after="0s")
async def process() -> str:
    return await promise("go", str)
'''

SOLD = [
    *("17", "invoice 1", "shipment 2"),
    *("frozenset", "deque", "dict", "Order", "Connection", "type", "builtin_function_or_method"),
]


def after() -> str:
    """The module as a deploy leaves it: with other parameters and classes, and calls swapped."""
    text = BEFORE.replace("order: Any", "thing_: Any").replace("type(order)", "type(thing_)")
    text = text.replace("Connection", "Pool").replace("number: int", "count: int")
    text = text.replace("{number}", "{count}").replace("Order(", "Purchase(")
    text = text.replace("class Order", "class Purchase").replace(", Order,", ", Purchase,")
    swapped = "[await Shipments.create(1), await Invoices.create(1)]"
    return text.replace("[await Invoices.create(1), await Shipments.create(1)]", swapped)


@pytest.fixture
def deploys(tmp_path: Path) -> tuple[Path, Path]:
    """A folder with modules as they were, and one with those of the deploy."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new / "market"):
        folder.mkdir(parents=True)
    (old / "shop.py").write_text(BEFORE)
    (old / "stall.py").write_text(BEFORE)
    (new / "market" / "store.py").write_text(after())
    (new / "market" / "shop.py").write_text(after())
    declared = '@workflow(suspend_after="0s", was="stall:process")\nasync def process'
    moved = after().replace('@workflow(suspend_after="0s")\nasync def process', declared)
    (new / "booth.py").write_text(moved)
    return old, new


BEGUN = {
    "selling": "shop:selling",
    "swapping": "shop:swapping",
    "below": "shop:process",
    "another": "shop:process",
    "declared": "stall:process",
}

GONE_ON = {
    "selling": "market.store:selling",
    "swapping": "market.shop:swapping",
    "below": "market.shop:process",
    "another": "market.store:process",
    "declared": "booth:process",
}


async def deployed(
    replays: Replays, deploys: tuple[Path, Path], python: str = sys.executable
) -> None:
    """Begin instances with the old modules, and go on with the new ones."""
    old, new = deploys
    begun = await replays.run(BEGUN, PYTHONPATH=str(old), PYTHONHASHSEED="1")
    assert {one[0] for one in begun.values()} == {"suspended"}, begun
    await replays.send({(name, "go"): "gone" for name in BEGUN})
    found = await replays.run(GONE_ON, python=python, PYTHONPATH=str(new), PYTHONHASHSEED="2")

    refused = {name: found.pop(name) for name in ("swapping", "another")}
    assert found.pop("selling")[:2] == ["done", [*SOLD, "gone"]]
    assert {name: one[:2] for name, one in found.items()} == {
        "below": ["done", "gone"],
        "declared": ["done", "gone"],
    }
    assert refused["swapping"][0] == "NondeterminismError"
    assert (
        "Shipments.create, and was recorded as one of shop:Invoices.create"
        in refused["swapping"][1]
    )
    assert refused["another"][0] == "Incompatible"
    assert "one of shop:process, not of market.store:process" in refused["another"][1]


async def frozen(replays: Replays, folder: Path, python: str = sys.executable) -> None:
    """Go on with the frozen instances in a module elsewhere, with other parameters."""
    text = (MADE / "workflows.py").read_text()
    for name, other in RENAMED.items():
        text = re.sub(rf"\b{name}\b", other, text)
    (folder / "flows.py").write_text(text)
    await replays.send(SENT)
    await replays.resume("paused")
    targets = {name: f"flows:{rest.workflow}" for name, rest in RESTS.items()}
    found = await replays.run(targets, python=python, PYTHONPATH=str(folder), PYTHONHASHSEED="3")

    assert found == {name: rest.told() for name, rest in RESTS.items()}


async def test_frozen_instances_go_on_in_another_module(tmp_path: Path) -> None:
    """Strings have other hashes there, and parameters other names."""
    async with on_sqlite(tmp_path) as replays:
        await frozen(replays, tmp_path)


async def test_instances_go_on_after_a_deploy(tmp_path: Path, deploys: tuple[Path, Path]) -> None:
    """Modules may have moved. Another step or workflow is refused, with its whole name."""
    async with served(tmp_path, f"sqlite:{tmp_path / 'deployed.db'}") as replays:
        await deployed(replays, deploys)


@pytest.mark.long
@pytest.mark.parametrize("version", VERSIONS)
async def test_instances_go_on_under_another_python(
    version: str,
    tmp_path: Path,
    deploys: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each version on this machine is tried. The test names those that are not here."""
    base = interpreter(version)
    if base is None:
        with capsys.disabled():
            sys.stdout.write(f"\nPython {version} was not found: nothing went on under it\n")
        return
    python = installed(base, tmp_path / "venv")
    async with on_sqlite(tmp_path) as replays:
        await frozen(replays, tmp_path, python)
    async with served(tmp_path, f"sqlite:{tmp_path / 'deployed.db'}") as replays:
        await deployed(replays, deploys, python)


def interpreter(version: str) -> str | None:
    """Find a Python of a version, on the path or kept by pyenv; None: there is none."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [*map(str, kept.glob(f"{version}.*/bin/python")), shutil.which(f"python{version}")]
    return next((one for one in found if one is not None and _is_of(one, version)), None)


def _is_of(python: str, version: str) -> bool:
    code = "import sys; print(*sys.version_info[:2], sep='.')"
    told = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return told.stdout.strip() == version


def installed(python: str, folder: Path) -> str:
    """Give a Python of its own in a folder, with the product installed."""
    command = ["uv", "sync", "--quiet", "--frozen", "--no-dev", "--python", python]
    variables = os.environ | {"UV_PROJECT_ENVIRONMENT": str(folder)}
    subprocess.run(command, cwd=ROOT, env=variables, check=True)
    return str(folder / "bin" / "python")

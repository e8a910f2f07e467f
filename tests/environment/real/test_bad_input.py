"""Images and ids that make no sense, in an environment that is a process of its own."""

from pathlib import Path

import pytest
from tests.environment.real.fleet import TENANT, Fleet

import runtara_sdk
from runtara_domain.model.launches import InstanceStart
from runtara_domain.status import State

pytestmark = pytest.mark.long

GOOD = """
from runtara_sdk import workflow

@workflow
async def run(given: object = None) -> str:
    return "ok"
"""
ODD = ("/..\\ \n\t%ü'\"$`;*" * 100).encode()[:1023].decode(errors="ignore")


@pytest.mark.parametrize("database", ["sqlite"])
@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("import nowhere_at_all\n", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("def x(:\n", "SyntaxError"),
        ("import os; os._exit(3)\n", "ended Python with exit code 3"),
        ("import os; os.kill(os.getpid(), 11)\n", "ended Python with signal 11"),
        ("raise ValueError('x' * 10_000_000)\n", "xxx"),
        ("raise ValueError('\\x00\\udcff')\n", "ValueError"),
    ],
    ids=["missing", "syntax", "exit", "fault", "long", "odd"],
)
async def test_an_image_that_does_not_import_blocks_its_instances(
    fleet: Fleet, before: str, said: str
) -> None:
    """What is wrong is shown with the image and the instance, which is launched once."""
    environment = fleet.environment("a")
    await environment.start()
    image = await fleet.image(before + GOOD)
    await fleet.start(image, "i")

    async def is_blocked() -> bool:
        return (await fleet.instance("i")).state is State.PAUSED

    await fleet.until(is_blocked)
    found = await fleet.persistence.images.get(image.image_id)
    instance = await fleet.instance("i")
    assert found is not None
    assert said in (found.problem or "")
    assert said in (instance.error or "")
    assert [one.cause for one in await fleet.launches("i")] == ["refused"]
    assert await environment.terminate() == 0


@pytest.mark.parametrize("database", ["sqlite"])
async def test_an_image_with_a_broken_sdk_of_its_own_blocks_its_instances(fleet: Fleet) -> None:
    """The program of the SDK is compiled only for a launch, and not by the image's import."""
    sdk = Path(runtara_sdk.__file__).parent
    files = {str(each.relative_to(sdk.parent)): each.read_text() for each in sdk.rglob("*.py")}
    image = await fleet.image(GOOD, files={**files, "runtara_sdk/__main__.py": "def x(:\n"})
    environment = fleet.environment("a")
    await environment.start()
    await fleet.start(image, "i")

    async def is_blocked() -> bool:
        return (await fleet.instance("i")).state is State.PAUSED

    await fleet.until(is_blocked)
    found = await fleet.persistence.images.get(image.image_id)
    assert found is not None
    for said in (found.problem, (await fleet.instance("i")).error):
        assert "runtara_sdk/__main__.py" in (said or "")
        assert "SyntaxError" in (said or "")
    assert [one.cause for one in await fleet.launches("i")] == ["refused"]
    assert await environment.terminate() == 0


async def test_ids_of_odd_bytes_are_run_like_others(fleet: Fleet) -> None:
    """The ids have 1024 bytes, which are neither a path nor a line."""
    odd = ODD + "x" * (1024 - len(ODD.encode()))
    await fleet.environment("a").start()
    image = await fleet.image(GOOD)
    start = InstanceStart(instance_id=odd, tenant_id=TENANT, image_id=image.image_id)
    await fleet.persistence.launches.start(start, at=fleet.clock.now())
    ended = await fleet.rests(odd)

    assert (ended.state, ended.output) == (State.COMPLETED, b'"ok"')
